"""An erasure is requested by id or hash; a wrong one is refused, and nothing is echoed."""

from datetime import datetime, timedelta

import pytest

from fruits_airflow.bucket import Bucket
from fruits_airflow.erasure.__main__ import main
from fruits_airflow.erasure.requests import pending_requests, write_request
from fruits_contract import contributions, layout

pytestmark = pytest.mark.slow

HASH = "a" * 64


def test_a_request_by_id_has_the_name_of_the_contribution(
    bucket: Bucket, now: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    contribution = contributions.new_id(now)
    for _ in range(2):
        assert main(["--bucket", bucket.name, "--contribution", contribution]) == 0
    (request,) = pending_requests(bucket).requests
    assert (request.request, request.contribution, request.contributor) == (contribution, contribution, "")
    assert [item.key for item in bucket.objects("")] == [layout.erasure_request(contribution)]


def test_asking_again_does_not_make_a_request_younger(bucket: Bucket, now: datetime) -> None:
    contribution = contributions.new_id(now)
    earlier = now - timedelta(days=5)
    for requested_at in (earlier, now):
        write_request(bucket, contribution=contribution, now=requested_at)
    pending = pending_requests(bucket)
    assert [request.requested_at for request in pending.requests] == [earlier.isoformat(timespec="seconds")]
    assert pending.older_than(timedelta(days=4), now=now) == 1


def test_a_request_by_hash_does_not_echo_it(bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--bucket", bucket.name, "--contributor", HASH]) == 0
    (request,) = pending_requests(bucket).requests
    assert (request.contribution, request.contributor) == ("", HASH)
    shown = capsys.readouterr()
    assert request.request in shown.out
    assert HASH not in shown.out + shown.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--contribution", "20261120-" + "0" * 32 + ".signature"],
        ["--contribution", "../../secret"],
        ["--contributor", "Anna"],
    ],
)
def test_what_is_no_id_is_refused_without_an_echo(
    bucket: Bucket, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--bucket", bucket.name, *arguments]) == 1
    assert arguments[1] not in capsys.readouterr().err
    assert list(bucket.objects("")) == []


def test_one_of_both_is_needed(bucket: Bucket) -> None:
    for arguments in ([], ["--contribution", "x", "--contributor", HASH]):
        with pytest.raises(SystemExit) as ended:
            main(["--bucket", bucket.name, *arguments])
        assert ended.value.code == 2


def test_an_object_that_is_no_request_is_left(bucket: Bucket, now: datetime) -> None:
    contribution = contributions.new_id(now)
    main(["--bucket", bucket.name, "--contribution", contribution])
    bucket.write(f"{layout.ERASURE_REQUESTS}broken.json", b"{")
    bucket.write(f"{layout.ERASURE_REQUESTS}other.json", bucket.read(layout.erasure_request(contribution)))
    assert [request.request for request in pending_requests(bucket).requests] == [contribution]
