"""Writes docs/bad-input.md from the table that the tests use, the reason codes and the limits."""

from docs.pages.text import page, table
from fruits import photo_reader, vision
from fruits.errors import REASONS
from tests.fixtures.odd_photo import FEATURES, NO_PHOTO, OddPhoto
from tests.fixtures.odd_photos import GROUPS

# tests/spark_apps/test_small_drops.py and tests/fruits_airflow/test_planning.py hold them to it.
SMALL_DROPS = (
    ("nothing but `_READY`", "skipped by `plan_batch`, without a cluster"),
    ("nothing new", "the same"),
    ("one photo, or copies of one, and no PCA yet", "`fit_pca` fails: a PCA needs at least 2 different photos"),
    ("one photo, and a PCA", "published"),
    ("two photos of one variety, and no PCA yet", "published, with one component"),
    ("fewer photos than `components` + 1, and no PCA yet", "`fit_pca` fails, with the number that is possible"),
    ("rejects alone, and no PCA yet", "`fit_pca` fails: there is not one photo with features"),
    ("rejects alone, and a PCA", "a report, and a red finding (`max_reject_ratio`): not published"),
)

ODD_SHARDS = (
    ("a photo in it that cannot be read", "the same reject as an object of its own"),
    ("cut off, or no tar file", "its photos before the damage are taken; reject `damaged_shard` with the shard's key"),
    ("a header that declares more bytes than the shard has, or points backwards", "the same"),
    ("a photo whose MD5 is not that of the index", "reject `wrong_digest`"),
    ("without an index, or with one of another shard", "read once by `plan_batch`, which writes the index"),
    ("replaced while its run is under way", "the stage fails: run the drop again"),
    ("deleted while its run is under way", "reject `missing` for each of its photos"),
    ("links, devices, folders, sparse files", "left out, with a warning"),
    ("`/` first, `..` or a control character in a name", "reject `unreadable_key`"),
    ("`./` first in a name, as `tar -C folder .` writes it", "the name without it"),
    ("a name that is not UTF-8", "the name with replacement characters"),
    ("a name without a variety", "features without a label, as `raw/<drop>/<photo>`"),
    ("a name twice in one shard", "the later photo"),
    ("a name in two shards", "the photo of the shard whose name is later"),
    ("a name in a shard and as an object", "the object"),
    ("a contributed photo", "left out, with a warning: a shard could not lose it when it must be erased"),
)


def content() -> str:
    """Return docs/bad-input.md."""
    count = sum(len(photos) for photos in GROUPS.values())
    return page(
        "Bad input",
        "Every object of a drop ends as a row of `tables/features` or as a row of `tables/rejects` with a reason code. "
        "No object fails the run, holds it up, or is left out silently. Two kinds are no photos: the marker `_READY`, and the "
        "empty objects `folder/` that S3's console creates. A run with too many rejects is not published "
        "(`max_reject_ratio`).",
        "## Reason codes",
        table(("code", "meaning"), ((f"`{code}`", meaning) for code, meaning in REASONS.items())),
        "## Limits",
        "For each photo, in featurize ([0025](decisions/0025-limits-of-a-photo.md)):",
        table(
            ("limit", "value"),
            [
                ("formats", ", ".join(vision.FORMATS)),
                ("bytes", f"{photo_reader.MAX_BYTES:,}"),
                ("pixels", f"{vision.MAX_PIXELS:,}, and {vision.MAX_SIDE_PX:,} on a side"),
                ("CPU time of decoding", f"{vision.MAX_CPU_S:g} s"),
                (f"photos of more than {vision.LARGE_PIXELS:,} pixels in memory, decoded at the same time on one node", "1"),
            ],
        ),
        "## Small drops",
        table(("drop", "becomes"), SMALL_DROPS),
        "## Odd shards",
        "`tests/fruits_airflow/test_shard_indexing.py`, `test_drops.py` and `tests/spark_apps/test_packed_drop.py` check these. "
        "Nothing is ever extracted from a shard: a name in it is only a name.",
        table(("shard, or what is in it", "becomes"), ODD_SHARDS),
        "## What becomes of odd files",
        f"{count} objects, which `tests/spark_apps/test_odd_photos.py` decodes, and `test_odd_drop.py` puts into one drop, plans "
        "and featurizes. An asterisk marks those that are not in the drop, because the embedded S3 server refuses or rewrites "
        "the key, or because they take too long. `make run` uploads only files with the suffix of a photo that lie in the "
        "folder of a variety; the table also holds for drops that others uploaded.",
        *(part for group, photos in GROUPS.items() for part in (f"### {group}", table(("what", "becomes"), map(_row, photos)))),
    )


def _row(photo: OddPhoto) -> tuple[str, str]:
    outcome = {FEATURES: "features", NO_PHOTO: "not a photo, left out"}.get(photo.outcome, f"reject `{photo.outcome}`")
    return photo.what if photo.stored else f"{photo.what} *", outcome
