"""Assigns all photos of a run to clusters in one Spark job, which returns counts and nothing else."""

from collections import Counter
from collections.abc import Sequence
from operator import add

import numpy as np
from pyspark import SparkContext

from fruits.clusters import Contingency, nearest_centers
from fruits.projected_sample import projections_of, without_faults
from fruits.row_counts import in_tasks
from fruits.storage import Storage
from fruits_contract import columns
from fruits_contract.manifest import WrittenFile


def count_clusters(context: SparkContext, files: Sequence[WrittenFile], *, bucket: str, centers: np.ndarray) -> Contingency:
    """Return the number of photos in the files by variety and nearest center; `centers` has shape (c, k)."""

    def count(file: WrittenFile) -> Counter[tuple[str, int]]:
        pairs: Counter[tuple[str, int]] = Counter()
        for rows in Storage(bucket).read_rows(file.key, list(columns.PROJECTED)):
            sound = without_faults(rows, k=centers.shape[1])
            clusters = nearest_centers(projections_of(sound, k=centers.shape[1]), centers)
            pairs.update(zip(sound["label"].to_pylist(), clusters.tolist(), strict=True))
        return pairs

    pairs = in_tasks(context, files).map(count).treeReduce(add) if files and len(centers) else Counter()
    return Contingency.of(pairs, clusters=len(centers))
