"""What is to be erased: the contributions of each request, and what was removed of them so far."""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa

from fruits_airflow.bucket import Bucket
from fruits_airflow.commits import open_table
from fruits_contract import layout
from fruits_contract.contributions import Contribution, ErasureRequest, InvalidContribution, received_on

log = logging.getLogger(__name__)

WITH_CONTRIBUTOR = (layout.FEATURES_TABLE, layout.REJECTS_TABLE)


@dataclass
class Subject:
    """One request.

    Parameters
    ----------
    contributions
        Ids.
    drops
        Into which the photos were accepted, as far as known.
    removed
        The things that were removed, e.g. keys, by place; also in earlier tries, so that nothing is counted twice.
    began_at
        Of the first try: ISO 8601, UTC.
    """

    request: ErasureRequest
    began_at: str
    contributions: set[str] = field(default_factory=set)
    drops: set[str] = field(default_factory=set)
    removed: dict[str, set[str]] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """What must be found nowhere: the ids, and the contributor's hash where all of a contributor is erased."""
        return self.contributions | ({self.request.contributor} - {""})

    @property
    def since(self) -> datetime:
        """The day of the first receipt: what was written before cannot hold any of it."""
        return min(map(_day, self.contributions), default=datetime.now(UTC))

    def save(self, bucket: Bucket) -> None:
        """Keep what is known: the next try could not find it again, because records and rows are gone."""
        known = {
            "began_at": self.began_at,
            "contributions": sorted(self.contributions),
            "drops": sorted(self.drops),
            "removed": {place: sorted(things) for place, things in self.removed.items()},
        }
        bucket.write(layout.erasure_progress(self.request.request), (json.dumps(known, indent=1) + "\n").encode())


class Subjects(list[Subject]):
    """All requests that are processed together."""

    @property
    def names(self) -> set[str]:
        """What must be found nowhere."""
        return set().union(*(subject.names for subject in self))

    @property
    def contributions(self) -> set[str]:
        """The ids of all requests."""
        return set().union(*(subject.contributions for subject in self))

    @property
    def since(self) -> datetime:
        """The day of the first receipt."""
        return min(subject.since for subject in self)

    def record(self, names: Iterable[str], place: str, thing: str, *, drop: str = "") -> None:
        """Record for whom it matters that a thing with these names is removed; call it and `save` before removing the thing."""
        found = set(names)
        for subject in self:
            if subject.names & found:
                subject.removed.setdefault(place, set()).add(thing)
                subject.drops |= {drop} - {""}

    def save(self, bucket: Bucket) -> None:
        """Keep what is known of each."""
        for subject in self:
            subject.save(bucket)


def find_subjects(bucket: Bucket, requests: Iterable[ErasureRequest], *, now: datetime) -> Subjects:
    """Resolve the requests to ids; `save` the result before anything is deleted."""
    subjects = Subjects(_resumed(bucket, request, now=now) for request in requests)
    wanted = {subject.request.contributor: subject for subject in subjects if subject.request.contributor}
    if wanted:
        for record in _records(bucket):
            if record.contributor in wanted:
                wanted[record.contributor].contributions.add(record.contribution)
        for contributor, subject in wanted.items():
            for path in _paths_of(bucket, contributor):
                subject.contributions |= {layout.contribution_of(path)} - {""}
    for subject in subjects:
        for contribution in subject.contributions:
            accepted = _record(bucket, layout.contribution_record(contribution))
            subject.drops |= {accepted.drop} - {""} if accepted else set()
    return subjects


def _resumed(bucket: Bucket, request: ErasureRequest, *, now: datetime) -> Subject:
    subject = Subject(request, now.isoformat(timespec="seconds"), {request.contribution} - {""})
    try:
        known = json.loads(bucket.read(layout.erasure_progress(request.request)))
    except FileNotFoundError:
        return subject
    subject.began_at = known["began_at"]
    subject.contributions |= set(known["contributions"])
    subject.drops |= set(known["drops"])
    subject.removed = {place: set(things) for place, things in known["removed"].items()}
    return subject


def _records(bucket: Bucket) -> Iterable[Contribution]:
    for item in bucket.objects(layout.CONTRIBUTION_RECORDS):
        if record := _record(bucket, item.key):
            yield record


def _record(bucket: Bucket, key: str) -> Contribution | None:
    try:
        return Contribution.from_json(bucket.read(key))
    except FileNotFoundError:
        return None
    except InvalidContribution:
        log.warning("%s: an object below %s is no record", bucket.name, layout.CONTRIBUTION_RECORDS)
        return None


def _paths_of(bucket: Bucket, contributor: str) -> Iterable[str]:
    """Return the paths of a contributor's rows in the published tables."""
    for key in WITH_CONTRIBUTOR:
        table = open_table(bucket, key)
        if table is not None:
            rows: pa.Table = table.to_pyarrow_table(columns=["path"], filters=[("contributor", "=", contributor)])
            yield from rows["path"].to_pylist()


def _day(contribution: str) -> datetime:
    try:
        return received_on(contribution)
    except ValueError:  # an id of the right form with a day that does not exist
        return datetime.fromtimestamp(0, UTC)
