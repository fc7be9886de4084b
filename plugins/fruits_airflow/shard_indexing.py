"""Makes the index of a shard that has none: reads the whole tar file once, a piece at a time."""

import hashlib
import io
import logging
import tarfile
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from fruits_airflow.bucket import Bucket, ObjectInfo
from fruits_contract import shards
from fruits_contract.shard_index import ShardIndex

log = logging.getLogger(__name__)

CHUNK_BYTES = 2**20
LARGEST_HEADER = 2**20  # names and extended headers: a hostile one declares gigabytes
BLOCK = tarfile.BLOCKSIZE


class DamagedShard(ValueError):
    """A shard that is not a whole tar file; the message says where."""


class _RangedFile(io.RawIOBase):
    """An object as a file, read by ranges."""

    def __init__(self, bucket: Bucket, shard: ObjectInfo) -> None:
        self._bucket, self._shard, self._position = bucket, shard, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._shard.size_bytes}[whence]
        if base + offset < 0:
            raise ValueError("before the beginning of the file")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        start = min(self._position, self._shard.size_bytes)
        stop = min(start + len(buffer), self._shard.size_bytes)
        if start == stop:
            return 0
        content = self._bucket.read_range(self._shard.key, start=start, stop=stop, etag=self._shard.etag)
        buffer[: len(content)] = content
        self._position = start + len(content)
        return len(content)


class _TarReader(io.BufferedReader):
    """What tarfile reads headers from: no more at once than a header may have."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= LARGEST_HEADER:
            raise DamagedShard(f"a header that declares {size} bytes")
        return super().read(size)


def index_shard(bucket: Bucket, shard: ObjectInfo) -> ShardIndex:
    """Read a shard and return its index; of one that is damaged, the index of the photos before the damage.

    Regular files become photos. Links, devices, folders and sparse files have no bytes of a photo in one piece and are left out;
    where a name is there twice, the later one counts, as tar extracts them.

    Raises
    ------
    OSError
        The shard could not be read, or was replaced meanwhile.
    """
    log.info("Shard %s has no index: reading its %s MB", shard.key, shard.size_bytes // 10**6)
    rows: list[dict[str, Any]] = []
    damage = ""
    try:
        for row in _members(bucket, shard):
            rows.append(row)
    except DamagedShard as error:
        damage = str(error)
    last = {row["member"]: number for number, row in enumerate(rows)}
    kept = [rows[number] for number in sorted(last.values())]
    return ShardIndex.of(kept, etag=shard.etag, size_bytes=shard.size_bytes, damage=damage)


def _members(bucket: Bucket, shard: ObjectInfo) -> Iterator[dict[str, Any]]:
    """Yield a row of `columns.SHARD_INDEX` per photo; raise `DamagedShard` where the tar file is not whole."""
    reader = _TarReader(_RangedFile(bucket, shard), buffer_size=shards.RANGE_BYTES)
    end = 0
    ignored = 0
    with closing(reader):
        for member in _headers(reader):
            if member.size < 0 or member.offset < end:
                raise DamagedShard(f"a header at {member.offset:,} that points backwards")
            end = member.offset_data
            if not member.isreg() or member.issparse():
                ignored += 1
                continue
            end = member.offset_data + member.size
            if end > shard.size_bytes:
                raise DamagedShard(f"it ends at {shard.size_bytes:,} bytes, in a photo that would end at {end:,}")
            digest = _md5(reader, member.offset_data, member.size)
            yield {"member": _name(member), "offset": member.offset_data, "size_bytes": member.size, "md5": digest}
    if ignored:
        log.warning("Shard %s: %s links, folders or other entries without a photo are left out", shard.key, ignored)


def _headers(reader: _TarReader) -> Iterator[tarfile.TarInfo]:
    """Yield the entries of a tar file, and raise `DamagedShard` unless it ends as tar files do."""
    try:
        with tarfile.open(fileobj=reader, mode="r:") as tar:
            # next(), because iterating keeps every entry
            while member := tar.next():
                tar.members.clear()  # type: ignore[attr-defined]
                yield member
            end = tar.offset
    except (OSError, DamagedShard):
        raise
    except Exception as error:  # of bytes that are no tar file, tarfile raises whatever its parsing meets
        raise DamagedShard(f"no tar file, or damaged: {type(error).__name__}: {error}") from error
    reader.seek(end)
    if reader.read(BLOCK) != bytes(BLOCK):
        raise DamagedShard(f"it has no end-of-archive block at {end:,}")


def _md5(reader: _TarReader, start: int, size: int) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    reader.seek(start)
    left = size
    while left:
        chunk = reader.read(min(left, CHUNK_BYTES))
        if not chunk:
            raise OSError("the object is shorter than it was listed")
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest()


def _name(member: tarfile.TarInfo) -> str:
    """Return the name as UTF-8, without the `./` of `tar -C folder .`."""
    return member.name.encode(errors="surrogateescape").decode(errors="replace").removeprefix("./")
