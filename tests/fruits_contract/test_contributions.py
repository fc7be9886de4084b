"""Ids and records of contributions."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from fruits_contract import layout
from fruits_contract.contributions import (
    Consent,
    Contribution,
    ErasureRequest,
    Guess,
    InvalidContribution,
    check_id,
    new_id,
    received_on,
)

NOW = datetime(2026, 11, 27, 23, 30, tzinfo=UTC)


def test_an_id_names_the_day_in_utc_and_no_two_are_the_same() -> None:
    east = NOW.astimezone(timezone(timedelta(hours=5)))
    assert new_id(east).startswith("20261127-")
    assert received_on(new_id(east)) == datetime(2026, 11, 27, tzinfo=UTC)
    assert len({new_id(NOW) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "value", ["", "20261127", "20261127-" + "g" * 32, "../20261127-" + "0" * 32, "20261127-" + "0" * 32 + "\n"]
)
def test_what_is_no_id_is_refused(value: str) -> None:
    with pytest.raises(InvalidContribution, match="expected the id"):
        check_id(value)


def test_a_key_of_a_contributed_photo_names_its_contribution() -> None:
    contribution = new_id(NOW)
    assert layout.contribution_of(layout.contributed_image("2026-11-28", "Apple Red 1", contribution)) == contribution
    assert layout.contribution_of("raw/2026-11-28/Apple Red 1/0_100.jpg") == ""
    assert layout.contribution_of("raw/2026-11-28/contributed-x.jpg/0_100.jpg") == ""


def test_a_record_and_a_request_are_read_as_they_were_written() -> None:
    record = Contribution(
        contribution=new_id(NOW),
        contributor="a" * 64,
        consent=Consent("2026-11-27", "fr", NOW.isoformat()),
        guess=Guess("c1", "not_sure", [("Apple Red 1", 0.4), ("Peach 1", 0.3)]),
    )
    assert Contribution.from_json(record.to_json()) == record
    request = ErasureRequest(request=record.contribution, requested_at=NOW.isoformat(), contribution=record.contribution)
    assert ErasureRequest.from_json(request.to_json()) == request


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"guess": {}}', b'{"a": 1}'])
def test_other_content_is_no_record(content: bytes) -> None:
    with pytest.raises(InvalidContribution):
        Contribution.from_json(content)
    with pytest.raises(InvalidContribution):
        ErasureRequest.from_json(content)


@pytest.mark.parametrize(
    "change",
    [
        {"contribution": "", "contributor": "e"},
        {"contributor": "a" * 64},
        {"contribution": ""},
        {"contribution": "../x"},
        {"request": 5},
        {"request": "x"},
        {"requested_at": "yesterday"},
        {"contribution": ["x"]},
    ],
)
def test_a_request_that_would_erase_something_else_is_refused(change: dict[str, object]) -> None:
    good = {"request": new_id(NOW), "requested_at": NOW.isoformat(), "contribution": new_id(NOW), "contributor": ""}
    assert ErasureRequest.from_json(json.dumps(good).encode())
    with pytest.raises(InvalidContribution):
        ErasureRequest.from_json(json.dumps(good | change).encode())
