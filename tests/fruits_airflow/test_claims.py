"""A photo is one reviewer's for five minutes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from fruits_airflow.bucket import Bucket
from fruits_airflow.claims import CLAIMED_FOR, ClaimLost, check_claim, claim, give_back
from fruits_contract import layout
from tests.fixtures.contributed import id_of

pytestmark = pytest.mark.slow

PHOTO = id_of(1)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_one_of_many_gets_the_photo(bucket: Bucket) -> None:
    with ThreadPoolExecutor(8) as reviewers:
        tokens = list(reviewers.map(lambda _: claim(bucket, PHOTO, now=NOW), range(8)))
    (token,) = filter(None, tokens)
    check_claim(bucket, PHOTO, token)


def test_after_five_minutes_one_of_many_takes_it_over(bucket: Bucket) -> None:
    first = claim(bucket, PHOTO, now=NOW)
    assert claim(bucket, PHOTO, now=NOW + CLAIMED_FOR - timedelta(seconds=1)) == ""
    with ThreadPoolExecutor(8) as reviewers:
        tokens = list(reviewers.map(lambda _: claim(bucket, PHOTO, now=NOW + CLAIMED_FOR), range(8)))
    (second,) = filter(None, tokens)
    assert second != first
    check_claim(bucket, PHOTO, second)
    with pytest.raises(ClaimLost):
        check_claim(bucket, PHOTO, first)


def test_an_old_claim_that_nobody_took_over_is_good(bucket: Bucket) -> None:
    check_claim(bucket, PHOTO, claim(bucket, PHOTO, now=NOW - timedelta(days=1)))


@pytest.mark.parametrize("token", ["", "0" * 32, "é"])
def test_a_wrong_token_is_no_claim(bucket: Bucket, token: str) -> None:
    with pytest.raises(ClaimLost):
        check_claim(bucket, PHOTO, token)
    claim(bucket, PHOTO, now=NOW)
    with pytest.raises(ClaimLost):
        check_claim(bucket, PHOTO, token)


def test_what_was_given_back_can_be_claimed_and_has_no_token(bucket: Bucket) -> None:
    first = claim(bucket, PHOTO, now=NOW)
    give_back(bucket, PHOTO, first)
    for token in (first, ""):
        with pytest.raises(ClaimLost):
            check_claim(bucket, PHOTO, token)
    second = claim(bucket, PHOTO, now=NOW)
    give_back(bucket, PHOTO, first)
    check_claim(bucket, PHOTO, second)


def test_a_claim_does_not_name_the_reviewer(bucket: Bucket) -> None:
    token = claim(bucket, PHOTO, now=NOW)
    assert bucket.read(layout.contribution_claim(PHOTO)).decode() == (
        f'{{"token": "{token}", "claimed_at": "2026-11-22T12:00:00+00:00"}}\n'
    )
