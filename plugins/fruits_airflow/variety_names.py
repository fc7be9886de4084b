"""Names of varieties: those that are known, and what may become a new one."""

import pyarrow.compute as pc

from fruits_airflow.bucket import Bucket
from fruits_airflow.tables import PublishedTable
from fruits_contract import layout

LONGEST_BYTES = 120


class InvalidVariety(ValueError):
    """A name that cannot be a folder of a drop; the message says why."""


class UnknownVariety(ValueError):
    """A name that no published photo has, which nobody has confirmed."""


def known_varieties(bucket: Bucket) -> list[str]:
    """Return the varieties of the published photos, by name."""
    labels = PublishedTable(bucket, layout.FEATURES_TABLE).rows("label")["label"]
    return sorted(label for label in pc.unique(labels).to_pylist() if label)


def check_variety(name: str) -> str:
    """Return `name` when it can be the folder of a variety; raise `InvalidVariety` otherwise."""
    if not name.strip():
        raise InvalidVariety("the name is empty")
    if name != name.strip() or not name.isprintable():
        raise InvalidVariety("the name begins or ends with a blank, or has characters that cannot be seen")
    if "/" in name or "\\" in name:
        raise InvalidVariety("the name has a slash")
    if name[0] in "._":
        raise InvalidVariety("the name begins with '.' or '_'")
    if len(name.encode()) > LONGEST_BYTES:
        raise InvalidVariety(f"the name is longer than {LONGEST_BYTES} bytes")
    return name
