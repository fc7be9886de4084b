"""The role table: who may do what, as data (role_table.yaml)."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.infra.iam_calls import BUCKET, CLUSTER, KEY, Call, object_arn, role_arn

FILE = Path(__file__).with_name("role_table.yaml")
NAMED = {"bucket": f"arn:aws:s3:::{BUCKET}", "key": KEY, "cluster": CLUSTER, "*": "*"}


@dataclass(frozen=True)
class Row:
    """One row: whether a role may make a call, and why."""

    call: Call
    is_allowed: bool
    resource: str
    why: str

    def __str__(self) -> str:
        verdict = "may" if self.is_allowed else "may not"
        conditions = "".join(f" {name}={value}" for name, value in self.call.context.items())
        return f"{self.call.role} {verdict} {self.call.action} {self.resource}{conditions}"


def rows() -> list[Row]:
    """Return all rows in the order of the file."""
    return [
        Row(
            call=Call(role, item["action"], _arn(item["resource"]), item.get("if", {})),
            is_allowed=verdict == "allowed",
            resource=item["resource"],
            why=item["why"],
        )
        for role, verdicts in yaml.safe_load(FILE.read_text()).items()
        for verdict, items in verdicts.items()
        for item in items
    ]


def _arn(resource: str) -> str:
    if resource in NAMED:
        return NAMED[resource]
    if resource.startswith("role/"):
        return role_arn(resource.removeprefix("role/"))
    return resource if resource.startswith("arn:") else object_arn(resource)
