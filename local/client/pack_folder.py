"""Packs a folder of photos for an upload with any S3 tool, and prints how."""

from itertools import count
from pathlib import Path

from fruits_contract import layout, shards
from fruits_contract.shard_index import InvalidIndex, ShardIndex
from local.client.pack import CannotPack, next_number, pack
from local.client.upload import find_photos
from local.console import open_console, working


def pack_folder(images: Path, *, drop: str, out: Path) -> None:
    """Write shards and indexes of the photos into `out/<drop>`; photos that its shards have already are not packed again.

    Raises
    ------
    CannotUpload, CannotPack
        The folder cannot be a drop, or a file cannot be read or written.
    """
    console = open_console()
    found, ignored = find_photos(images, drop=drop)
    photos = {shards.name_in_shard(key)[1]: file for key, file in found.items()}
    folder = out / drop
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotPack(f"{folder}: {error.strerror}; choose another folder with OUT=folder") from error
    with working("Packing photos") as update:
        packed = _packed_in(folder)
        new = {name: file for name, file in photos.items() if packed.get(name) != shards.md5_of(file.read_bytes())}
        done = count(len(photos) - len(new) + 1)
        number = next_number(path.stem for path in folder.glob(f"*{shards.SUFFIX}"))
        for shard in pack(new, folder=folder, first_number=number, on_photo=lambda: update(next(done), len(photos))):
            (folder / f"{shard.name}{shards.INDEX_SUFFIX}").write_bytes(shard.index.to_bytes())
            console.print(f"{shard.file}: {shard.photos:,} photos, {shard.index.size_bytes / 1e6:,.0f} MB")
    console.print(
        f"drop {drop}: {len(photos):,} photos, {len(new):,} packed now, {len(photos) - len(new):,} before, "
        f"{ignored:,} other files ignored"
    )
    console.print(
        "To upload them, with your bucket's name:\n"
        f"  aws s3 sync '{folder}' s3://BUCKET/{layout.raw_prefix(drop)}\n"
        f"  aws s3api put-object --bucket BUCKET --key {layout.ready(drop)}\n"
        "Any other S3 tool does; the empty object _READY comes last."
    )


def _packed_in(folder: Path) -> dict[str, str]:
    """Return the MD5 of each photo in the shards of a folder, by name; shards without a usable index are not counted."""
    packed: dict[str, str] = {}
    for file in sorted(folder.glob(f"*{shards.INDEX_SUFFIX}")):
        if not (folder / (file.name.removesuffix(shards.INDEX_SUFFIX) + shards.SUFFIX)).exists():
            continue
        try:
            members = ShardIndex.from_bytes(file.read_bytes()).members
        except InvalidIndex:
            continue
        packed |= dict(zip(members["member"].to_pylist(), members["md5"].to_pylist(), strict=True))
    return packed
