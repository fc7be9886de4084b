"""PCA over DataFrames: one pass for the moments, one for the projections, no rows on the driver.

It must not know the arithmetic, which is in `fruits.reduction`.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark import Accumulator, AccumulatorParam
from pyspark.sql import DataFrame

from fruits.engines import FEATURES
from fruits.errors import TooFewImages
from fruits.reduction import Moments, Pca, Spread
from fruits_contract import columns

CHUNK_ROWS = 2048  # rows turned to float64 at a time: 21 MB


def moments_of(features: DataFrame) -> Moments:
    """Return the moments of the `features` column, merged in a tree.

    Raises
    ------
    TooFewImages
        When there is no row at all.
    """

    def partial(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        total: Moments | None = None
        for rows in _chunks(batches):
            part = Moments.of(rows)
            total = total.merge(part) if total else part
        if total:
            yield pa.RecordBatch.from_pydict({"moments": [total.to_bytes()]})

    partials = features.select("features").mapInArrow(partial, "moments binary").rdd
    merged = partials.map(lambda row: (Moments.from_bytes(bytes(row.moments)),)).treeReduce(
        lambda one, other: ((one or other)[0].merge(other[0]),) if one and other else one or other
    )
    if not merged:
        raise TooFewImages("there is not one photo with features to fit a PCA on")
    return merged[0]


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
        for batch in batches:
            if not len(batch):
                continue
            parts = []
            for rows in _chunks([batch]):
                parts.append(pca.transform(rows))
                spread.add(Spread.of(rows, parts[-1], pca))
            flat = np.concatenate(parts).astype(np.float32)
            offsets = np.arange(0, flat.size + 1, flat.shape[1], dtype=np.int32)
            arrays = [batch.column(name) for name in others]
            arrays.append(pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat.reshape(-1))))
            yield pa.RecordBatch.from_arrays(arrays, names=[*others, "projected"])

    schema = ", ".join(f"{field.name} {field.dataType.simpleString()}" for field in features.select(*others).schema)
    return features.mapInArrow(run, f"{schema}, projected {columns.PROJECTED['projected']}"), spread


def _chunks(batches: Iterable[pa.RecordBatch]) -> Iterator[np.ndarray]:
    for batch in batches:
        column = batch.column(batch.schema.get_field_index("features"))
        for start in range(0, len(column), CHUNK_ROWS):
            part = column.slice(start, CHUNK_ROWS)
            yield part.flatten().to_numpy().reshape(len(part), FEATURES)
