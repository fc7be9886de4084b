"""Contributed photos of a drop: whose they are, by their records; and none that nobody agrees to any more.

Neither a contributor nor a key of a contributed photo is in any message of this module.
"""

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fruits_airflow.bucket import Bucket
from fruits_airflow.contributions import read_record
from fruits_contract import layout
from fruits_contract.contributions import ACCEPTED

log = logging.getLogger(__name__)

READERS = 16


def with_contributors(bucket: Bucket, photos: pa.Table, *, drop: str) -> pa.Table:
    """Return the photos of a drop, rows of `columns.BATCH`, with the contributors of those that were contributed.

    A contributed photo is left out when its record is missing, because it was erased, or does not say that the photo was
    accepted at this place. A photo of a shard is never a contributed one.

    Raises
    ------
    OSError
        A record could not be read; it may be there.
    """
    names_one = pc.match_substring_regex(photos["path"], layout.CONTRIBUTED_NAME).to_numpy()
    candidates = np.flatnonzero(names_one).tolist()
    paths = {number: photos["path"][number].as_py() for number in candidates}
    contributed = [number for number, path in paths.items() if layout.contribution_of(path)]
    with ThreadPoolExecutor(READERS) as readers:
        contributors = list(readers.map(lambda number: _contributor(bucket, paths[number]), contributed))
    column = np.full(len(photos), "", object)
    column[contributed] = contributors
    is_left_out = np.zeros(len(photos), bool)
    is_left_out[contributed] = [not contributor for contributor in contributors]
    if is_left_out.any():
        log.warning(
            "Drop %s: %s contributed photos are left out: no record says that they were accepted", drop, is_left_out.sum()
        )
    position = photos.schema.get_field_index("contributor")
    known = photos.set_column(position, "contributor", pa.array(column, pa.string()))
    return known.filter(pa.array(~is_left_out))


def _contributor(bucket: Bucket, path: str) -> str:
    """Return the contributor of an accepted photo, '' where its record does not say so."""
    contribution = layout.contribution_of(path)
    try:
        found = read_record(bucket, contribution)
    except Exception as error:
        # The error of an S3 client names the key.
        raise OSError(f"the record of a contributed photo could not be read: {type(error).__name__}") from None
    if found is None or found[0].state != ACCEPTED:
        return ""
    record = found[0]
    return record.contributor if path == layout.contributed_image(record.drop, record.label, contribution) else ""
