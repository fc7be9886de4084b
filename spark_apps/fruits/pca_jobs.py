"""PCA over files of features: one Spark job for the moments, one for the projections, no rows on the driver."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
from pyspark import SparkContext, TaskContext

from fruits.errors import TooFewImages
from fruits.feature_files import FeatureFile, read_features, vectors_of
from fruits.pca import Moments, Pca, Spread
from fruits.storage import Storage
from fruits_contract import columns
from fruits_contract.manifest import WrittenFile

SCHEMA = columns.arrow_schema(columns.PROJECTED)


def moments_of(context: SparkContext, files: Sequence[FeatureFile], *, bucket: str, extractor: str) -> Moments:
    """Return the moments of the features of `extractor` in `files`: one pass, one task per core, merged in a tree.

    What a task hands back, 13 MB, takes longer than its share of a small fit, so there are no more tasks than cores.

    Raises
    ------
    TooFewImages
        When there is no row at all.
    """

    def partial(part: Sequence[FeatureFile]) -> Moments | None:
        pa.set_cpu_count(1)
        rows = (rows for file in part for rows in read_features(file, bucket=bucket, extractor=extractor))
        return reduce(_merged, map(Moments.of, map(vectors_of, rows)), None)

    tasks = min(len(files), context.defaultParallelism) or 1
    # Neighbours in the list are of one drop, and of one size: each task gets some of every drop.
    parts = [files[number::tasks] for number in range(tasks)]
    moments: Moments | None = context.parallelize(parts, tasks).map(partial).treeReduce(_merged)
    if moments is None:
        raise TooFewImages("there is not one photo with features to fit a PCA on")
    return moments


def _merged(one: Moments | None, other: Moments | None) -> Moments | None:
    return one.merge(other) if one and other else one or other


@dataclass(frozen=True)
class ProjectedFile:
    """The result of one file of features: its file of projections and the spread of its rows; None where it had no row."""

    file: WrittenFile | None
    spread: Spread | None


def project(
    context: SparkContext,
    files: Sequence[FeatureFile],
    *,
    bucket: str,
    extractor: str,
    pca: Pca,
    folder_of: Callable[[str], str],
) -> list[ProjectedFile]:
    """Project the features of `extractor` in `files` on the components, each into a file of its own (`columns.PROJECTED`).

    `folder_of` returns the folder for the projections of a drop. As in `fruits.features.featurize`, a file counts once the
    driver names it.
    """
    if not files:
        return []
    model = context.broadcast(pca)

    def run(numbered: tuple[int, FeatureFile]) -> ProjectedFile:
        number, file = numbered
        task = TaskContext.get()
        assert task is not None, "Spark calls this in a task"
        pa.set_cpu_count(1)
        spreads: list[Spread] = []

        def projections() -> Iterator[pa.RecordBatch]:
            for rows in read_features(file, bucket=bucket, extractor=extractor):
                vectors = vectors_of(rows)
                projected = model.value.transform(vectors)
                spreads.append(Spread.of(vectors, projected, model.value))
                offsets = pa.array(np.arange(0, projected.size + 1, projected.shape[1], dtype=np.int32))
                lists = pa.ListArray.from_arrays(offsets, pa.array(projected.astype(np.float32).reshape(-1)))
                yield pa.RecordBatch.from_arrays([rows["path"], rows["label"], lists], schema=SCHEMA)

        key = f"{folder_of(file.drop)}part-{number:05d}-{task.taskAttemptId()}.parquet"
        written = Storage(bucket).write_parquet(key, projections(), SCHEMA)
        return ProjectedFile(written, reduce(Spread.merge, spreads) if spreads else None)

    return context.parallelize(list(enumerate(files)), len(files)).map(run).collect()
