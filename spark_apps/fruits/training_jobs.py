"""The Spark jobs of training: what each reads of the published features, and the small thing that it hands back."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from pyspark import RDD, SparkContext, TaskContext

from fruits.class_moments import ClassMoments
from fruits.errors import NothingToTrain
from fruits.held_out import NameCounts
from fruits.labelled_rows import LabelledRows, read_labelled_rows
from fruits.storage import Storage

TEST_ROWS = 10_000  # held-out rows that the driver receives, about: 60 MB; more would hardly make the figures more certain


class IsHeldOut(Protocol):
    """A split of `fruits.held_out`."""

    def is_held_out(self, path: str, label: str) -> bool:
        """Return whether a photo is for testing only."""


@dataclass(frozen=True)
class FeatureRows:
    """The published features of one extractor, in the files `keys`."""

    context: SparkContext
    bucket: str
    extractor: str
    keys: Sequence[str]

    def count_names(self) -> dict[str, NameCounts]:
        """Return what a split needs to know, by label.

        Raises
        ------
        NothingToTrain
            When no row has a label and colors.
        """
        bucket, extractor = self.bucket, self.extractor

        def counted(keys: Sequence[str]) -> dict[str, NameCounts]:
            found: dict[str, NameCounts] = {}
            for key in keys:
                for rows in read_labelled_rows(key, bucket=bucket, extractor=extractor):
                    labels = np.array(rows.labels)
                    for label in set(rows.labels):
                        paths = [rows.paths[number] for number in np.flatnonzero(labels == label)]
                        found = _merged(found, {label: NameCounts.of(paths)})
            return found

        names = self._in_tasks().map(counted).reduce(_merged)
        if not names:
            raise NothingToTrain(
                f"none of the {len(self.keys)} published files of features has photos in a variety folder with colors; "
                "run fruits_features with this release first"
            )
        return names

    def training_moments(self, split: IsHeldOut, varieties: Sequence[str]) -> ClassMoments:
        """Return the moments by variety of the rows that are not held out: one pass, one task per core.

        Raises
        ------
        NothingToTrain
            When all rows are held out.
        """
        bucket, extractor = self.bucket, self.extractor
        numbers = {label: number for number, label in enumerate(varieties)}

        def partial(keys: Sequence[str]) -> ClassMoments | None:
            pa.set_cpu_count(1)
            total: ClassMoments | None = None
            for key in keys:
                for rows in _training_rows(key, bucket=bucket, extractor=extractor, split=split):
                    of_rows = np.array([numbers[label] for label in rows.labels])
                    total = _sum(total, ClassMoments.of(rows.inputs, of_rows, classes=len(numbers)))
            return total

        moments: ClassMoments | None = self._in_tasks().map(partial).treeReduce(_sum)
        if moments is None:
            raise NothingToTrain("every photo is held out, none is left to train on")
        return moments

    def held_out_rows(self, split: IsHeldOut, *, photos: int) -> LabelledRows:
        """Return held-out rows, sorted by path; where there are many more than `TEST_ROWS`, a part of them, chosen by path.

        Parameters
        ----------
        photos
            Number of all rows, of which a quarter to a half is held out.

        Raises
        ------
        NothingToTrain
            When no row is held out.
        """
        bucket, extractor = self.bucket, self.extractor
        share = 3 * TEST_ROWS / photos

        def held_out(keys: Sequence[str]) -> list[LabelledRows]:
            found = []
            for key in keys:
                for rows in read_labelled_rows(key, bucket=bucket, extractor=extractor):
                    named = zip(rows.paths, rows.labels, strict=True)
                    chosen = np.array([split.is_held_out(path, label) and _position(path) < share for path, label in named])
                    if chosen.any():
                        found.append(rows.where(chosen))
            return found

        parts = [part for parts in self._in_tasks().map(held_out).collect() for part in parts]
        if not parts:
            raise NothingToTrain("no photo can be held out to test on; a variety needs two rotation axes, or a dozen photos")
        rows = LabelledRows(
            [path for part in parts for path in part.paths],
            [label for part in parts for label in part.labels],
            np.concatenate([part.inputs for part in parts]),
        )
        return rows.take(np.argsort(np.array(rows.paths), kind="stable"))

    def write_points(
        self,
        split: IsHeldOut,
        *,
        axes: np.ndarray,
        columns: Mapping[str, Mapping[str, float]],
        folder: str,
    ) -> int:
        """Write the rows that are not held out along `axes`, shape (1472, k), as Parquet for Spark ML; return their number.

        There is a column for each axis, "0", "1" and so on, and one for each of `columns`: its value for each label.
        """
        bucket, extractor = self.bucket, self.extractor
        coordinates = [pa.field(str(number), pa.float32()) for number in range(axes.shape[1])]
        schema = pa.schema([*coordinates, *(pa.field(name, pa.float64()) for name in columns)])
        broadcast = self.context.broadcast(axes.astype(np.float32))

        def write(keys: Sequence[str]) -> int:
            task = TaskContext.get()
            assert task is not None, "Spark calls this in a task"

            def batches() -> Iterator[pa.RecordBatch]:
                for key in keys:
                    for rows in _training_rows(key, bucket=bucket, extractor=extractor, split=split):
                        points = np.asfortranarray(rows.inputs @ broadcast.value)
                        values = [pa.array([by_label[label] for label in rows.labels]) for by_label in columns.values()]
                        yield pa.RecordBatch.from_arrays([*map(pa.array, points.T), *values], schema=schema)

            key = f"{folder}part-{task.partitionId():05d}.parquet"
            written = Storage(bucket).write_parquet(key, batches(), schema)
            return written.rows if written else 0

        return int(self._in_tasks().map(write).sum())

    def _in_tasks(self) -> RDD[Sequence[str]]:
        """Distribute the files, one task per core; neighbours in the list are of one drop, and each task gets some of all."""
        tasks = min(len(self.keys), self.context.defaultParallelism) or 1
        return self.context.parallelize([self.keys[number::tasks] for number in range(tasks)], tasks)


def _training_rows(key: str, *, bucket: str, extractor: str, split: IsHeldOut) -> Iterator[LabelledRows]:
    for rows in read_labelled_rows(key, bucket=bucket, extractor=extractor):
        kept = np.array([not split.is_held_out(path, label) for path, label in zip(rows.paths, rows.labels, strict=True)])
        if kept.any():
            yield rows.where(kept)


def _merged(one: Mapping[str, NameCounts], other: Mapping[str, NameCounts]) -> dict[str, NameCounts]:
    return {label: one.get(label, NameCounts()).merge(other.get(label, NameCounts())) for label in one.keys() | other.keys()}


def _sum(one: ClassMoments | None, other: ClassMoments | None) -> ClassMoments | None:
    return one.merge(other) if one and other else one or other


def _position(path: str) -> float:
    """Return a number in [0, 1) that depends on the path alone."""
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[4:8], "big") / 2**32
