"""The recorded calls: one of each role, action and part of the bucket, kept in recorded_calls.json."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from tests.infra.iam_calls import Call, object_arn

FILE = Path(__file__).with_name("recorded_calls.json")
PARTS_OF = {"tables": 2, "models": 2, "contributions": 2, "erasures": 2}  # of a key, that say which part of the bucket it is in


def load() -> list[Call]:
    """Return the recorded calls."""
    return [Call(**row) for row in json.loads(FILE.read_text())]


def store(calls: Iterable[Call]) -> None:
    """Replace the recorded calls."""
    rows = ",\n ".join(json.dumps(asdict(call)) for call in sorted(set_of_examples(calls), key=_order))
    FILE.write_text(f"[\n {rows}\n]\n")


def set_of_examples(calls: Iterable[Call]) -> list[Call]:
    """Return one call, the first in order, of each role, action, part of the bucket and set of condition keys."""
    examples: dict[tuple[str, ...], Call] = {}
    for call in calls:
        kept = examples.setdefault(_kind(call), call)
        if _order(call) < _order(kept):
            examples[_kind(call)] = call
    return list(examples.values())


def _kind(call: Call) -> tuple[str, ...]:
    prefix = _part(call.context["s3:prefix"]) if "s3:prefix" in call.context else ""
    key = call.resource.removeprefix(object_arn(""))
    return (call.role, call.action, key if key == call.resource else _part(key), prefix, *sorted(call.context))


def _part(key: str) -> str:
    parts = key.split("/")
    return "/".join(parts[: PARTS_OF.get(parts[0], 1)])


def _order(call: Call) -> tuple[str, str, str, str]:
    return call.role, call.action, call.resource, json.dumps(dict(call.context), sort_keys=True)
