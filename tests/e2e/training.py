"""A drop with photos of several varieties and conditions, and the training that its publication starts."""

import shutil
from pathlib import Path

import pytest

from fruits_contract.classifier_pipeline import CLASSIFIER_PIPELINE
from local.waiting import wait_until
from tests.e2e.embedded_stack import REAL_PHOTOS, Ended, Stack

DAG = CLASSIFIER_PIPELINE.dag_id
DROP = "conditions"
ROTTEN = "Apple Rotten 1"
VARIETIES = ("Apple 6", "Cherry 3", "Tomato Yellow 1")
PER_VARIETY = 24


@pytest.fixture(scope="session")
def condition_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some photos of every rotation axis of four varieties, one of them rotten; the last of each is left out."""
    conditions = REAL_PHOTOS.parent / "fruits-360-condition"
    if not REAL_PHOTOS.is_dir() or not conditions.is_dir():
        pytest.skip(f"no real photos at {REAL_PHOTOS} and {conditions}")
    folder = tmp_path_factory.mktemp("photos") / "first"
    for source in (*(REAL_PHOTOS / name for name in VARIETIES), conditions / ROTTEN):
        (folder / source.name).mkdir(parents=True)
        found = sorted(source.glob("*.jpg"))
        for path in found[:: len(found) // PER_VARIETY]:
            shutil.copy(path, folder / source.name)
    return folder


@pytest.fixture(scope="session")
def trained(stack: Stack, first: Ended, condition_photos: Path) -> Ended:
    """The run that the publication of a drop has started; after `first`, which must find an empty bucket."""
    assert first.state == "success"
    stack.upload(condition_photos, DROP)
    assert wait_until(lambda: stack.api.has_dag(DAG), timeout_s=180, every_s=1)
    stack.pause(DAG, is_paused=False)
    before = stack.api.newest_asset_run(DAG)
    assert stack.run(DROP).state == "success"
    assert wait_until(lambda: stack.api.newest_asset_run(DAG) != before, timeout_s=60, every_s=1)
    run_id = stack.api.newest_asset_run(DAG)
    assert run_id
    ended = stack.wait(DAG, run_id)
    stack.pause(DAG, is_paused=True)
    return ended
