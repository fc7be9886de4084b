"""PCA over DataFrames: one pass for the moments, one for the projections, no rows on the driver.

It must not know the arithmetic, which is in `fruits.reduction`.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce

import numpy as np
import pyarrow as pa
from pyspark import Accumulator, AccumulatorParam, SparkContext
from pyspark.sql import DataFrame

from fruits.engines import FEATURES
from fruits.errors import TooFewImages
from fruits.feature_files import CHUNK_ROWS, FeatureFile, read_features
from fruits.reduction import Moments, Pca, Spread
from fruits_contract import columns


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
        return reduce(_merged, map(Moments.of, rows), None)

    tasks = min(len(files), context.defaultParallelism) or 1
    # Neighbours in the list are of one drop, and of one size: each task gets some of every drop.
    parts = [files[number::tasks] for number in range(tasks)]
    moments: Moments | None = context.parallelize(parts, tasks).map(partial).treeReduce(_merged)
    if moments is None:
        raise TooFewImages("there is not one photo with features to fit a PCA on")
    return moments


def _merged(one: Moments | None, other: Moments | None) -> Moments | None:
    return one.merge(other) if one and other else one or other


class _Spreads(AccumulatorParam[Spread | None]):
    def zero(self, value: Spread | None) -> Spread | None:
        return None

    def addInPlace(self, value1: Spread | None, value2: Spread | None) -> Spread | None:
        return value1.merge(value2) if value1 and value2 else value1 or value2


def project(features: DataFrame, pca: Pca) -> tuple[DataFrame, Accumulator[Spread | None]]:
    """Project `features` (`columns.FEATURES` and any further ones) on the components.

    Returns
    -------
    projected : DataFrame
        The rows with `projected`, array of k float32, in the place of `features`, lazily.
    spread : Accumulator of Spread or None
        How much of the rows' variance the PCA keeps; complete once `projected` has been written, in one action.
    """
    spread: Accumulator[Spread | None] = features.sparkSession.sparkContext.accumulator(None, _Spreads())
    others = [name for name in features.columns if name != "features"]

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in (whole.slice(start, CHUNK_ROWS) for whole in batches for start in range(0, len(whole), CHUNK_ROWS)):
            rows = batch.column(batch.schema.get_field_index("features")).flatten().to_numpy().reshape(len(batch), FEATURES)
            projected = pca.transform(rows)
            spread.add(Spread.of(rows, projected, pca))
            offsets = np.arange(0, projected.size + 1, projected.shape[1], dtype=np.int32)
            arrays = [batch.column(name) for name in others]
            arrays.append(pa.ListArray.from_arrays(pa.array(offsets), pa.array(projected.astype(np.float32).reshape(-1))))
            yield pa.RecordBatch.from_arrays(arrays, names=[*others, "projected"])

    schema = ", ".join(f"{field.name} {field.dataType.simpleString()}" for field in features.select(*others).schema)
    return features.mapInArrow(run, f"{schema}, projected {columns.PROJECTED['projected']}"), spread
