"""Each task's count reaches the driver, which reads only those that have changed."""

import pytest
from mypy_boto3_s3 import S3Client

from fruits.storage import Storage
from fruits.task_counts import TaskCounts, count_items

FOLDER = "runs/counting/featurize.counts/"


@pytest.fixture
def storage(s3: S3Client, bucket: str) -> Storage:
    return Storage(bucket)


def test_an_item_counts_once_the_next_one_is_requested(storage: Storage) -> None:
    counts = TaskCounts(storage, FOLDER)
    with count_items("abc", storage=storage, key=f"{FOLDER}0") as counted:
        assert next(counted) == "a"
        assert next(counted) == "b"
    assert counts.total() == 1
    with count_items("abc", storage=storage, key=f"{FOLDER}0") as counted:
        assert list(counted) == ["a", "b", "c"]
    assert counts.total() == 3


def test_the_total_is_that_of_all_tasks_and_never_falls(storage: Storage) -> None:
    counts = TaskCounts(storage, FOLDER)
    assert counts.total() == 0
    storage.write(f"{FOLDER}0", "100")
    storage.write(f"{FOLDER}1", "7")
    assert counts.total() == 107
    storage.write(f"{FOLDER}1", "0")  # its task failed and is repeated
    assert counts.total() == 107
    storage.write(f"{FOLDER}1", "20")
    assert counts.total() == 120


def test_what_has_not_changed_is_not_read_again(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    plain = Storage.read
    monkeypatch.setattr(Storage, "read", lambda self, key: read.append(key) or plain(self, key))
    counts = TaskCounts(storage, FOLDER)
    storage.write(f"{FOLDER}0", "1")
    storage.write(f"{FOLDER}1", "1")
    counts.total()
    storage.write(f"{FOLDER}1", "2")
    assert counts.total() == 3
    assert read == [f"{FOLDER}0", f"{FOLDER}1", f"{FOLDER}1"]
