"""Reads published features as rows to train and test classifiers on: path, label and inputs, inside a task."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fruits.classifier import inputs_of
from fruits.colors import COLOR_COUNT
from fruits.engines import FEATURE_COUNT
from fruits.storage import Storage
from fruits_contract import columns

_COLUMNS = ("path", "label", "extractor", "features", "colors")
_SCHEMA = columns.arrow_schema({name: columns.FEATURES[name] for name in _COLUMNS})


@dataclass(frozen=True)
class LabelledRows:
    """Some photos of known variety.

    Parameters
    ----------
    paths, labels
        Of each row.
    inputs : ndarray, shape (n, 1472), float32
        What classifiers read (`fruits.classifier.inputs_of`).
    """

    paths: list[str]
    labels: list[str]
    inputs: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def where(self, chosen: np.ndarray) -> "LabelledRows":
        """Return the rows for which `chosen`, shape (n,), is true."""
        return self.take(np.flatnonzero(chosen))

    def take(self, numbers: np.ndarray) -> "LabelledRows":
        """Return the rows with these numbers, in their order."""
        return LabelledRows([self.paths[n] for n in numbers], [self.labels[n] for n in numbers], self.inputs[numbers])


def read_labelled_rows(key: str, *, bucket: str, extractor: str) -> Iterator[LabelledRows]:
    """Yield the rows of `extractor` in a file of features, a part at a time and never none.

    Left out are photos outside any variety folder, and rows that have no colors because an earlier release wrote them.
    """
    for stored in Storage(bucket).read_rows(key, _COLUMNS):
        if "colors" not in stored.schema.names:
            return
        rows = stored.select(_COLUMNS).cast(_SCHEMA)
        usable = pc.and_(pc.equal(rows["extractor"], extractor), pc.not_equal(rows["label"], ""))
        rows = rows.filter(pc.and_(usable, pc.is_valid(rows["colors"])))
        if len(rows):
            inputs = inputs_of(_vectors(rows["features"], FEATURE_COUNT), _vectors(rows["colors"], COLOR_COUNT))
            yield LabelledRows(rows["path"].to_pylist(), rows["label"].to_pylist(), inputs)


def _vectors(lists: pa.ListArray, size: int) -> np.ndarray:
    vectors: np.ndarray = lists.flatten().to_numpy().reshape(len(lists), size)
    return vectors
