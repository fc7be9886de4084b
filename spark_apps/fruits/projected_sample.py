"""Reads the projections of a run once: a bounded sample of the photos, and counts and means per variety of all of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import pyarrow as pa
from pyspark import SparkContext

from fruits.checks import projection_faults
from fruits.row_counts import in_tasks
from fruits.storage import Storage
from fruits_contract import columns, layout
from fruits_contract.manifest import WrittenFile


@dataclass(frozen=True)
class PhotoSample:
    """Photos with their projections; those whose paths have the smallest digests, in that order, so the same each time.

    No contributed photos: what a report shows of a photo stays when the photo is erased.

    Parameters
    ----------
    digests : ndarray, shape (n,), uint64
    paths, labels : ndarray, shape (n,), object
    vectors : ndarray, shape (n, k), float32
    """

    digests: np.ndarray
    paths: np.ndarray
    labels: np.ndarray
    vectors: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def first(self, count: int) -> "PhotoSample":
        """Return the first `count` photos, a sample of their own."""
        return PhotoSample(self.digests[:count], self.paths[:count], self.labels[:count], self.vectors[:count])

    def merge(self, other: "PhotoSample", *, count: int) -> "PhotoSample":
        """Return the `count` photos of both with the smallest digests."""
        digests = np.concatenate([self.digests, other.digests])
        kept = np.argsort(digests, kind="stable")[:count]
        return PhotoSample(
            digests[kept],
            np.concatenate([self.paths, other.paths])[kept],
            np.concatenate([self.labels, other.labels])[kept],
            np.concatenate([self.vectors, other.vectors])[kept],
        )


@dataclass(frozen=True)
class VarietySums:
    """Sums over the photos of one variety: count, vectors, shape (k,), and squared lengths of the vectors; they add up."""

    count: int
    total: np.ndarray
    squares: float

    def merge(self, other: "VarietySums") -> "VarietySums":
        """Return the sums of both."""
        return VarietySums(self.count + other.count, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> np.ndarray:
        """The mean vector, shape (k,)."""
        mean: np.ndarray = self.total / self.count
        return mean

    @property
    def spread(self) -> float:
        """Root mean square distance of the photos from their mean."""
        return float(np.sqrt(max(self.squares / self.count - np.square(self.mean).sum(), 0.0)))


@dataclass(frozen=True)
class Survey:
    """A sample of the photos that nobody contributed, and the sums of every variety over all photos."""

    sample: PhotoSample
    varieties: dict[str, VarietySums] = field(default_factory=dict)

    def merge(self, other: "Survey", *, count: int) -> "Survey":
        """Return the survey of both, with a sample of at most `count` photos."""
        varieties = dict(self.varieties)
        for label, sums in other.varieties.items():
            varieties[label] = varieties[label].merge(sums) if label in varieties else sums
        return Survey(self.sample.merge(other.sample, count=count), varieties)


def survey(context: SparkContext, files: Sequence[WrittenFile], *, bucket: str, k: int, count: int) -> Survey:
    """Survey the files of projections with `k` components in one Spark job; the sample has at most `count` photos."""

    def merge(one: Survey, other: Survey) -> Survey:
        return one.merge(other, count=count)

    def survey_file(file: WrittenFile) -> Survey:
        chunks = Storage(bucket).read_rows(file.key, list(columns.PROJECTED))
        return reduce(merge, (survey_rows(rows, k=k, count=count) for rows in chunks), nothing(k))

    return in_tasks(context, files).map(survey_file).treeReduce(merge) if files else nothing(k)


def survey_rows(rows: pa.RecordBatch, *, k: int, count: int) -> Survey:
    """Survey rows of `columns.PROJECTED`."""
    rows = without_faults(rows, k=k)
    paths, labels = (np.array(rows[name].to_pylist(), dtype=object) for name in ("path", "label"))
    vectors = projections_of(rows, k=k)
    shown = np.array([number for number, path in enumerate(paths) if not layout.contribution_of(path)], dtype=np.int64)
    digests = np.array([_digest(path) for path in paths[shown]], dtype=np.uint64)
    first = np.argsort(digests, kind="stable")[:count]
    kept = shown[first]
    sample = PhotoSample(digests[first], paths[kept], labels[kept], vectors[kept])
    varieties = {}
    for label in set(labels):
        own = vectors[labels == label].astype(np.float64)
        varieties[label] = VarietySums(len(own), own.sum(axis=0), float(np.square(own).sum()))
    return Survey(sample, varieties)


def without_faults(rows: pa.RecordBatch, *, k: int) -> pa.RecordBatch:
    """Return the rows but those whose projection `validate` calls faulty: the report names them as a finding."""
    is_faulty = projection_faults(rows, k=k)["projected"]
    return rows.filter(pa.array(~is_faulty)) if is_faulty.any() else rows


def projections_of(rows: pa.RecordBatch, *, k: int) -> np.ndarray:
    """Return the projections of `rows`, shape (n, k), float32, without copying them."""
    vectors: np.ndarray = rows["projected"].flatten().to_numpy().reshape(len(rows), k)
    return vectors


def nothing(k: int) -> Survey:
    """Return the survey of no photo."""
    empty = np.empty(0, dtype=object)
    return Survey(PhotoSample(np.empty(0, np.uint64), empty, empty, np.empty((0, k), np.float32)))


def _digest(path: str) -> int:
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest())
