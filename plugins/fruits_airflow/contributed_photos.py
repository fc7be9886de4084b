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
    may_be_contributed = pc.match_substring_regex(photos["path"], layout.CONTRIBUTED_NAME).to_numpy()
    paths = {number: photos["path"][number].as_py() for number in np.flatnonzero(may_be_contributed).tolist()}
    contributed = [number for number, path in paths.items() if layout.contribution_of(path)]
    if not contributed:
        return photos
    with ThreadPoolExecutor(READERS) as readers:
        contributors = list(readers.map(lambda number: _contributor(bucket, paths[number]), contributed))
    column = np.full(len(photos), "", object)
    column[contributed] = contributors
    left_out = [number for number, contributor in zip(contributed, contributors, strict=True) if not contributor]
    if left_out:
        log.warning("Drop %s: %s contributed photos are left out: no record says that they were accepted", drop, len(left_out))
    position = photos.schema.get_field_index("contributor")
    with_column = photos.set_column(position, "contributor", pa.array(column, pa.string()))
    return with_column.take(np.setdiff1d(np.arange(len(photos)), left_out))


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
