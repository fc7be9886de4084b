"""Packs photos into shards: tar files of about 128 MB and their indexes, in a folder of this machine.

The same photos give the same shards, byte for byte. Shards are numbered, because of two with the same photo the later one counts.
"""

import hashlib
import io
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fruits_contract import shards
from fruits_contract.layout import CONTRIBUTED_NAME
from fruits_contract.shard_index import ShardIndex

OWN_NAME = re.compile(r"photos-(\d{5})-[0-9a-f]{12}")
PARTIAL = "unfinished.tar"
LISTED_NAMES = 20


class CannotPack(ValueError):
    """Photos that cannot be packed; the message names them, the reason and what to do."""


@dataclass(frozen=True)
class PackedShard:
    """A shard on this machine; its index does not have the ETag that the shard will get."""

    name: str
    file: Path
    index: ShardIndex

    @property
    def photos(self) -> int:
        """The number of its photos."""
        return len(self.index.members)


def pack(
    photos: Mapping[str, Path],
    *,
    folder: Path,
    first_number: int,
    shard_bytes: int = shards.SHARD_BYTES,
    on_photo: Callable[[], None] = lambda: None,
) -> Iterator[PackedShard]:
    """Write shards into `folder`, and yield each when it is complete.

    Parameters
    ----------
    photos
        Files by their names in the shards, `<variety>/<photo>`; packed in the order of the names.
    first_number
        Of the first shard; `next_number` of those that the drop has.

    Raises
    ------
    CannotPack
        A photo is a contributed one, or a file cannot be read or written.
    """
    check_packable(photos)
    waiting = iter(sorted(photos.items()))
    number = first_number
    carried = next(waiting, None)
    while carried:
        shard = _Shard(folder / PARTIAL)
        try:
            while carried and shard.has_room_for(carried[1], shard_bytes):
                shard.add(*carried)
                on_photo()
                carried = next(waiting, None)
            yield shard.finish(number)
        except OSError as error:
            where = error.filename or shard.file
            raise CannotPack(f"{where}: {error.strerror or error}; repair it and repeat the command") from error
        finally:
            shard.discard()
        number += 1


def check_packable(names: Iterable[str]) -> None:
    """Raise `CannotPack` where one of the names or keys is that of a contributed photo."""
    contributed = [name for name in names if re.search(CONTRIBUTED_NAME, name)]
    if contributed:
        raise CannotPack(
            "contributed photos are never packed, because a shard cannot lose one of them when it must be erased; "
            f"move them out of the folder: {', '.join(contributed[:LISTED_NAMES])}"
        )


def next_number(names: Iterable[str]) -> int:
    """Return a number for the next shard, larger than those of the shards `names` that `pack` has named."""
    found = [OWN_NAME.fullmatch(name) for name in names]
    return max((int(match[1]) + 1 for match in found if match), default=0)


class _Shard:
    """A shard that is being written."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._tar = tarfile.open(file, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by finish or discard
        self._rows: list[dict[str, Any]] = []
        self._digest = hashlib.sha256()

    def has_room_for(self, photo: Path, shard_bytes: int) -> bool:
        """Return whether the shard stays below its size with a photo; the first photo always fits."""
        return not self._rows or self._tar.offset + photo.stat().st_size < shard_bytes

    def add(self, name: str, photo: Path) -> None:
        """Append a photo, with nothing of its file but the bytes."""
        content = photo.read_bytes()
        member = tarfile.TarInfo(name)
        member.size = len(content)
        self._tar.addfile(member, io.BytesIO(content))
        padding = -len(content) % tarfile.BLOCKSIZE
        md5 = shards.md5_of(content)
        offset = self._tar.offset - padding - len(content)
        self._rows.append({"member": name, "offset": offset, "size_bytes": len(content), "md5": md5})
        self._digest.update(f"{md5} {name}\n".encode())

    def finish(self, number: int) -> PackedShard:
        """Close the file and give it its name."""
        self._tar.close()
        name = f"photos-{number:05d}-{self._digest.hexdigest()[:12]}"
        final = self.file.rename(self.file.with_name(name + shards.SUFFIX))
        return PackedShard(name, final, ShardIndex.of(self._rows, etag="", size_bytes=final.stat().st_size))

    def discard(self) -> None:
        """Remove the file unless it is finished."""
        self._tar.fileobj.close()  # without the end-of-archive block, for which there may be no space
        self.file.unlink(missing_ok=True)
