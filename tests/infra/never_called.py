"""What the policies allow and no recorded call needs, with the reason why it stays (never_called.yaml)."""

from dataclasses import dataclass
from pathlib import Path

import yaml

FILE = Path(__file__).with_name("never_called.yaml")


@dataclass(frozen=True)
class NeverCalled:
    """An action on a resource (a key of the bucket, or an ARN), as the role's policy has it."""

    role: str
    action: str
    resource: str
    why: str


def items() -> list[NeverCalled]:
    """Return all of them in the order of the file."""
    return [
        NeverCalled(role, action, resource, item["why"])
        for role, listed in yaml.safe_load(FILE.read_text()).items()
        for item in listed
        for action in item["actions"]
        for resource in item["resources"]
    ]
