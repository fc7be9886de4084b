"""Reads photos that are members of a shard: those that follow each other by one GET, each checked by its MD5."""

from collections.abc import Iterable, Iterator

import obstore
from obstore.exceptions import PreconditionError
from obstore.store import S3Store

from fruits.errors import ShardReplaced, UnreadableImage
from fruits.photo_list import Photo
from fruits_contract.shards import RANGE_BYTES, md5_of

GAP_BYTES = 256 * 2**10  # between two members, read rather than skipped by another GET: headers, and photos that are known

Content = tuple[bytes, str]


def groups_of(photos: Iterable[Photo]) -> Iterator[list[Photo]]:
    """Group photos, in their order, by what one GET reads: an object, or members of a shard up to `RANGE_BYTES` together.

    A member that is larger than that is a group of its own.
    """
    group: list[Photo] = []
    for photo in photos:
        if group and not _continues(group, photo):
            yield group
            group = []
        if photo["shard"]:
            group.append(photo)
        else:
            yield [photo]
    if group:
        yield group


def _continues(group: list[Photo], photo: Photo) -> bool:
    first, last = group[0], group[-1]
    if not photo["shard"] or (photo["shard"], photo["shard_etag"]) != (first["shard"], first["shard_etag"]):
        return False
    gap = int(photo["offset"]) - _end(last)
    start = int(first["offset"])
    return start >= 0 and 0 <= gap <= GAP_BYTES and _end(photo) - start <= RANGE_BYTES


def span_of(group: list[Photo]) -> int:
    """Return how many bytes the GET of a group returns, headers between its members included."""
    if len(group) == 1:
        return group[0]["size_bytes"] or 0
    return int(_end(group[-1]) - group[0]["offset"])


def read_span(store: S3Store, group: list[Photo]) -> memoryview:
    """Return the bytes from the first member of a group to the end of the last.

    Raises
    ------
    UnreadableImage
        With reason `missing`: the shard is not there any more.
    ShardReplaced
        The shard is not the one that was planned. What it holds is not known before the drop is planned again.
    """
    start, stop, shard = group[0]["offset"], _end(group[-1]), group[0]["shard"]
    if start == stop:
        return memoryview(b"")
    try:
        response = obstore.get(store, shard, options={"range": (start, stop), "if_match": f'"{group[0]["shard_etag"]}"'})
    except FileNotFoundError as error:
        raise UnreadableImage("missing", f"the shard {shard} was deleted after the batch was planned") from error
    except PreconditionError as error:
        raise ShardReplaced(f"the shard {shard} was replaced after the batch was planned; run the drop again") from error
    return memoryview(response.bytes())


def members_of(group: list[Photo], span: memoryview) -> Iterator[Content | UnreadableImage]:
    """Yield bytes and MD5 of each member of a group, cut from the bytes of `read_span`, or that it is not what was indexed."""
    for photo in group:
        start = photo["offset"] - group[0]["offset"]
        content = bytes(span[start : start + photo["size_bytes"]])
        digest = md5_of(content)
        if digest == photo["etag"]:
            yield content, digest
        else:
            detail = f"its MD5 in {photo['shard']} is {digest}, in the index {photo['etag']}; delete the index or pack it again"
            yield UnreadableImage("wrong_digest", detail)


def _end(photo: Photo) -> int:
    return int(photo["offset"] + photo["size_bytes"])
