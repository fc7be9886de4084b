"""Two reviewers do not collide, and a decision that was interrupted at any step is completed or taken back."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from mypy_boto3_s3 import S3Client

from fruits_airflow import review
from fruits_airflow.bucket import Bucket
from fruits_airflow.claims import CLAIMED_FOR, ClaimLost
from fruits_airflow.review import AlreadyDecided, Claimed, Gone, accept, claim_next, photo_for_review, reject, skip
from fruits_airflow.variety_names import InvalidVariety, UnknownVariety
from fruits_contract import layout
from fruits_contract.contributions import ACCEPTED, Contribution, ErasureRequest
from tests.fixtures.contributed import CONTRIBUTOR, contribute, id_of

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DROP = "2026-11-23"
Decision = Callable[[Bucket, str, str], Any]


def accept_apple(bucket: Bucket, contribution: str, token: str) -> str:
    return accept(bucket, contribution, token, label="Apple 21", now=NOW)


def accept_cherry(bucket: Bucket, contribution: str, token: str) -> str:
    return accept(bucket, contribution, token, label="Cherry 3", now=NOW)


def claimed(bucket: Bucket, *, now: datetime = NOW) -> Claimed:
    found = claim_next(bucket, now=now)
    assert found
    return found


def keys(bucket: Bucket) -> list[str]:
    return [item.key for item in bucket.objects("")]


def image(contribution: str, label: str = "Apple 21", drop: str = DROP) -> str:
    return layout.contributed_image(drop, label, contribution)


def record(bucket: Bucket, contribution: str) -> Contribution:
    return Contribution.from_json(bucket.read(layout.contribution_record(contribution)))


def test_the_oldest_photo_that_waits_is_next(bucket: Bucket) -> None:
    contribute(bucket, 1, day="20261121")
    older = contribute(bucket, 2, day="20261120")
    bucket.write(layout.contribution_photo(id_of(3, day="20261119")), b"its record is not there yet")
    found = claimed(bucket)
    assert found.record.contribution == older
    assert photo_for_review(bucket, older, found.token) == b"photo"
    with pytest.raises(ClaimLost):
        photo_for_review(bucket, older, "0" * 32)


def test_reviewers_at_once_get_different_photos(bucket: Bucket) -> None:
    photos = {contribute(bucket, number) for number in range(4)}
    with ThreadPoolExecutor(6) as reviewers:
        found = list(reviewers.map(lambda _: claim_next(bucket, now=NOW), range(6)))
    ids = [item.record.contribution for item in found if item]
    assert sorted(ids) == sorted(photos)
    assert found.count(None) == 2


def test_a_skipped_photo_goes_to_another_reviewer(bucket: Bucket) -> None:
    photo = contribute(bucket)
    found = claimed(bucket)
    skip(bucket, photo, found.token)
    assert claim_next(bucket, skipped=[photo], now=NOW) is None
    assert claimed(bucket).record.contribution == photo


def test_an_accepted_photo_is_in_the_next_drop_and_its_record_says_so(bucket: Bucket) -> None:
    photo = contribute(bucket)
    assert accept_apple(bucket, photo, claimed(bucket).token) == DROP
    assert keys(bucket) == [layout.contribution_record(photo), image(photo)]
    assert bucket.read(image(photo)) == b"photo"
    accepted = record(bucket, photo)
    assert (accepted.state, accepted.label, accepted.drop, accepted.contributor) == (ACCEPTED, "Apple 21", DROP, CONTRIBUTOR)
    assert claim_next(bucket, now=NOW) is None


def test_nothing_of_a_rejected_photo_is_left_in_any_version(bucket: Bucket, s3: S3Client) -> None:
    s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    photo = contribute(bucket)
    reject(bucket, photo, claimed(bucket).token)
    assert list(bucket.versions("")) == []
    reject(bucket, photo, "0" * 32)


def test_nothing_of_an_accepted_photo_is_left_in_the_queue_in_any_version(bucket: Bucket, s3: S3Client) -> None:
    s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})
    photo = contribute(bucket)
    accept_apple(bucket, photo, claimed(bucket).token)
    left = {version.key for version in bucket.versions("")}
    assert left == {layout.contribution_record(photo), image(photo)}


@pytest.mark.parametrize("decide", [accept_apple, reject])
def test_a_decision_with_a_lost_claim_changes_nothing(bucket: Bucket, decide: Decision) -> None:
    photo = contribute(bucket)
    lost = claimed(bucket).token
    claimed(bucket, now=NOW + CLAIMED_FOR)
    before = {key: bucket.read(key) for key in keys(bucket)}
    with pytest.raises(ClaimLost):
        decide(bucket, photo, lost)
    assert {key: bucket.read(key) for key in keys(bucket)} == before


@pytest.mark.parametrize("other", [accept_cherry, reject])
@pytest.mark.parametrize("decide", [accept_apple, reject])
def test_one_of_two_decisions_with_the_same_claim_wins(bucket: Bucket, decide: Decision, other: Decision) -> None:
    photo = contribute(bucket)
    token = claimed(bucket).token

    def outcome(decision: Decision) -> str:
        try:
            decision(bucket, photo, token)
        except (AlreadyDecided, ClaimLost, Gone):
            return "lost"
        return "won"

    with ThreadPoolExecutor(2) as reviewers:
        outcomes = list(reviewers.map(outcome, [decide, other]))
    if decide is other:
        assert "won" in outcomes
        assert keys(bucket) == []
        return
    assert outcomes.count("won") == 1
    winner = [decide, other][outcomes.index("won")]
    left = [key for key in keys(bucket) if key.startswith(layout.RAW)]
    assert left == {accept_apple: [image(photo)], accept_cherry: [image(photo, "Cherry 3")], reject: []}[winner]
    if winner is not reject:
        assert record(bucket, photo).state == ACCEPTED


@pytest.mark.parametrize("asked", [{"contribution": id_of(1)}, {"contributor": CONTRIBUTOR}])
def test_a_photo_that_is_to_be_erased_is_neither_shown_nor_accepted(bucket: Bucket, asked: dict[str, str]) -> None:
    photo = contribute(bucket)
    token = claimed(bucket).token
    request = ErasureRequest(request=id_of(7), requested_at="2026-11-22T12:00:00+00:00", **asked)
    bucket.write(layout.erasure_request(request.request), request.to_json())
    with pytest.raises(Gone):
        accept_apple(bucket, photo, token)
    assert claim_next(bucket, now=NOW + CLAIMED_FOR) is None
    assert not [key for key in keys(bucket) if key.startswith(layout.RAW)]


@pytest.mark.parametrize("part", [layout.contribution_record, layout.contribution_photo])
def test_a_photo_that_was_erased_meanwhile_is_not_accepted(bucket: Bucket, part: Callable[[str], str]) -> None:
    photo = contribute(bucket)
    token = claimed(bucket).token
    bucket.erase(part(photo))
    with pytest.raises(Gone):
        accept_apple(bucket, photo, token)
    assert not [key for key in keys(bucket) if key.startswith(layout.RAW)]


def test_a_record_that_is_erased_during_the_acceptance_takes_the_photo_out_again(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = contribute(bucket)
    token = claimed(bucket).token
    write = bucket.write

    def write_and_erase(key: str, content: bytes) -> None:
        write(key, content)
        bucket.erase(layout.contribution_record(photo))

    monkeypatch.setattr(bucket, "write", write_and_erase)
    with pytest.raises(AlreadyDecided):
        accept_apple(bucket, photo, token)
    assert not [key for key in keys(bucket) if key.startswith(layout.RAW)]


def test_labels_are_checked_before_anything_is_changed(bucket: Bucket) -> None:
    photo = contribute(bucket)
    token = claimed(bucket).token
    before = keys(bucket)
    with pytest.raises(InvalidVariety):
        accept(bucket, photo, token, label="../x", is_new=True, now=NOW)
    with pytest.raises(UnknownVariety):
        accept(bucket, photo, token, label="Durian 1", now=NOW)
    assert keys(bucket) == before
    assert accept(bucket, photo, token, label="Durian 1", is_new=True, now=NOW) == DROP


@pytest.mark.parametrize(
    ("now", "drop"),
    [
        (datetime(2026, 11, 23, 2, 57, tzinfo=UTC), "2026-11-23"),
        (datetime(2026, 11, 23, 2, 59, tzinfo=UTC), "2026-11-24"),
        (datetime(2026, 11, 23, 3, 1, tzinfo=UTC), "2026-11-24"),
    ],
)
def test_the_drop_is_one_that_no_run_lists_already(bucket: Bucket, now: datetime, drop: str) -> None:
    photo = contribute(bucket)
    assert accept(bucket, photo, claimed(bucket).token, label="Apple 21", now=now) == drop


class Killed(BaseException):
    """The process ends here."""


def kill_at(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let the write numbered `step` not happen, nor any after it."""
    done = 0

    def counted(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            nonlocal done
            if done == step:
                raise Killed
            done += 1
            return method(*args, **named)

        return call

    for name in ("write", "replace", "erase"):
        monkeypatch.setattr(bucket, name, counted(getattr(bucket, name)))


@pytest.mark.parametrize("step", range(5))
@pytest.mark.parametrize("again", [accept_apple, accept_cherry, reject])
def test_an_acceptance_that_was_killed_is_completed_or_decided_anew(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, step: int, again: Decision
) -> None:
    photo = contribute(bucket)
    token = claimed(bucket).token
    with monkeypatch.context() as patch:
        kill_at(bucket, patch, step)
        with pytest.raises(Killed):
            accept_apple(bucket, photo, token)
    is_accepted = record(bucket, photo).state == ACCEPTED
    if is_accepted and again is not accept_apple:
        with pytest.raises(AlreadyDecided):
            again(bucket, photo, token)
        claim_next(bucket, now=NOW)
        again = accept_apple
    else:
        again(bucket, photo, token)
    assert (
        keys(bucket)
        == {
            accept_apple: [layout.contribution_record(photo), image(photo)],
            accept_cherry: [layout.contribution_record(photo), image(photo, "Cherry 3")],
            reject: [],
        }[again]
    )


def test_an_acceptance_that_is_completed_a_day_later_moves_to_the_next_drop(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = contribute(bucket)
    token = claimed(bucket).token
    with monkeypatch.context() as patch:
        kill_at(bucket, patch, 2)
        with pytest.raises(Killed):
            accept_apple(bucket, photo, token)
    assert image(photo) in keys(bucket)
    accept(bucket, photo, token, label="Apple 21", now=NOW + timedelta(days=1))
    assert keys(bucket) == [layout.contribution_record(photo), image(photo, drop="2026-11-24")]


@pytest.mark.parametrize("step", range(4))
def test_a_rejection_that_was_killed_is_completed(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    photo = contribute(bucket)
    token = claimed(bucket).token
    with monkeypatch.context() as patch:
        kill_at(bucket, patch, step)
        with pytest.raises(Killed):
            reject(bucket, photo, token)
    reject(bucket, photo, token)
    assert keys(bucket) == []


@pytest.mark.parametrize("step", range(1, 4))
def test_a_rejection_that_was_killed_is_completed_by_the_next_reviewer(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    photo = contribute(bucket)
    token = claimed(bucket).token
    with monkeypatch.context() as patch:
        kill_at(bucket, patch, step)
        with pytest.raises(Killed):
            reject(bucket, photo, token)
    with pytest.raises(Gone):
        accept_apple(bucket, photo, token)
    assert claim_next(bucket, now=NOW) is None
    assert keys(bucket) == []


def test_a_photo_that_is_decided_while_it_is_claimed_is_not_shown(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = contribute(bucket)
    claim = review.claim

    def decide_first(bucket_: Bucket, contribution: str, *, now: datetime) -> str:
        accept_apple(bucket_, contribution, claim(bucket_, contribution, now=now))
        return claim(bucket_, contribution, now=now)

    monkeypatch.setattr(review, "claim", decide_first)
    assert claim_next(bucket, now=NOW) is None
    assert keys(bucket) == [layout.contribution_record(photo), image(photo)]


def test_a_photo_that_would_be_deleted_before_its_run_is_not_shown(bucket: Bucket) -> None:
    contribute(bucket, 1, day="20261112")
    assert claim_next(bucket, now=NOW) is None
    assert claim_next(bucket, now=NOW - timedelta(days=2)) is not None
