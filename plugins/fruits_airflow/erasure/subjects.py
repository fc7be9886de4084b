"""What is to be erased: the contributions of each request, and what was removed of them so far."""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from fruits_airflow.bucket import Bucket
from fruits_airflow.commits import open_table
from fruits_contract import layout
from fruits_contract.contributions import Contribution, ErasureRequest, InvalidContribution, received_on

log = logging.getLogger(__name__)

WITH_CONTRIBUTOR = (layout.FEATURES_TABLE, layout.REJECTS_TABLE)
COLUMNS = ["contributor", "path"]
READERS = 16


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
    by_contributor: dict[str, list[Subject]] = {}
    for subject in subjects:
        if subject.request.contributor:
            by_contributor.setdefault(subject.request.contributor, []).append(subject)
    if by_contributor:
        for contributor, contribution, drop in _contributions_of(bucket, sorted(by_contributor)):
            for subject in by_contributor[contributor]:
                subject.contributions.add(contribution)
                subject.drops |= {drop} - {""}
    for subject in subjects:
        for contribution in subject.contributions:
            accepted = _record(bucket, layout.contribution_record(contribution))
            subject.drops |= {accepted.drop} - {""} if accepted else set()
    return subjects


def _resumed(bucket: Bucket, request: ErasureRequest, *, now: datetime) -> Subject:
    subject = Subject(request, now.isoformat(timespec="seconds"), {request.contribution} - {""})
    known = bucket.read_json(layout.erasure_progress(request.request))
    if known is None:
        return subject
    subject.began_at = known["began_at"]
    subject.contributions |= set(known["contributions"])
    subject.drops |= set(known["drops"])
    subject.removed = {place: set(things) for place, things in known["removed"].items()}
    return subject


def _contributions_of(bucket: Bucket, contributors: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield contributor, id and drop ('' for none yet) of every contribution of some contributors, possibly twice.

    A record is deleted with the photo after some days. Then the photo's row in a published table has the contributor; of a photo
    whose run was not published, or was rolled back, only the list of photos of that run has it.
    """
    for record in _records(bucket):
        if record.contributor in contributors:
            yield record.contributor, record.contribution, record.drop
    for contributor, path in [*_published_rows(bucket, contributors), *_planned_rows(bucket, contributors)]:
        if contribution := layout.contribution_of(path):
            yield contributor, contribution, path.split("/")[1]


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
        log.warning("%s: an object below %s is not a valid record", bucket.name, layout.CONTRIBUTION_RECORDS)
        return None


def _published_rows(bucket: Bucket, contributors: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield contributor and path of the rows of some contributors in the published tables."""
    for key in WITH_CONTRIBUTOR:
        table = open_table(bucket, key)
        if table is not None:
            yield from _pairs(table.to_pyarrow_table(columns=COLUMNS, filters=_filters(contributors)))


def _planned_rows(bucket: Bucket, contributors: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield contributor and path of the rows of some contributors in the lists of photos of all runs."""
    batches = [item.key for item in bucket.objects(layout.RUNS) if item.key == layout.batch(item.key.split("/")[1])]
    with ThreadPoolExecutor(READERS) as readers:
        for found in readers.map(lambda key: _planned_rows_of(bucket, key, contributors), batches):
            yield from found


def _planned_rows_of(bucket: Bucket, key: str, contributors: Sequence[str]) -> list[tuple[str, str]]:
    try:
        with bucket.open(key) as file:
            return _pairs(pq.read_table(file, columns=COLUMNS, filters=_filters(contributors)))
    except pa.ArrowInvalid:  # a list of an earlier release, without contributors, or a damaged one
        return []


def _filters(contributors: Sequence[str]) -> list[tuple[str, str, list[str]]]:
    return [("contributor", "in", list(contributors))]


def _pairs(rows: pa.Table) -> list[tuple[str, str]]:
    return list(zip(rows["contributor"].to_pylist(), rows["path"].to_pylist(), strict=True))


def _day(contribution: str) -> datetime:
    try:
        return received_on(contribution)
    except ValueError:  # an id of the right form with a day that does not exist
        return datetime.fromtimestamp(0, UTC)
