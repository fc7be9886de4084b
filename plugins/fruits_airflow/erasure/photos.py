"""Erases the photos of contributions and what waits with them, at once: in the queue and in the drops, all versions."""

from fruits_airflow.bucket import Bucket
from fruits_airflow.erasure.subjects import Subjects
from fruits_contract import layout

# Records first: planning leaves out a photo in a drop that has none.
PLACES = (
    ("records of consent and review", layout.contribution_record),
    ("photos waiting for review", layout.contribution_photo),
    ("claims of reviewers", layout.contribution_claim),
)
IN_DROPS = "photos in drops"


def erase_photos(bucket: Bucket, subjects: Subjects) -> None:
    """Delete every object of the contributions but those that are made from many photos."""
    drops = [each for each in bucket.versions(layout.RAW) if layout.contribution_of(each.key) in subjects.contributions]
    others = [
        (place, version)
        for contribution in sorted(subjects.contributions)
        for place, key_of in PLACES
        for version in bucket.versions(key_of(contribution))
    ]
    for place, version in [*others, *((IN_DROPS, version) for version in drops)]:
        if not version.is_marker:
            drop = version.key.split("/")[1] if place == IN_DROPS else ""
            subjects.record(_names(version.key), place, version.key, drop=drop)
    subjects.save(bucket)
    bucket.delete_versions([*(version for _, version in others), *drops])


def _names(key: str) -> list[str]:
    return [layout.contribution_of(key), key.rpartition("/")[2].partition(".")[0]]
