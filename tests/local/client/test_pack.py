"""Photos are packed into numbered shards that any tar reads, the same ones each time, and never a contributed photo."""

import tarfile
from pathlib import Path

import pytest

from local.client.pack import CannotPack, next_number, pack
from local.client.pack_folder import pack_folder
from tests.fixtures.contributed import id_of
from tests.fixtures.packed_drop import index_of


@pytest.fixture
def photos(tmp_path: Path) -> dict[str, Path]:
    """Photos of two varieties, 3,000 bytes each, one of them with a name that needs an extended header."""
    found = {}
    for variety in ("Äpfel & Co", "x" * 200):
        for number in range(5):
            file = tmp_path / "photos" / variety / f"{number}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(bytes([number]) * 3000)
            found[f"{variety}/{number}.jpg"] = file
    return found


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def test_every_photo_is_in_one_shard_with_its_place(photos: dict[str, Path], out: Path) -> None:
    packed = list(pack(photos, folder=out, first_number=7, shard_bytes=10_000))
    assert [shard.file.stat().st_size for shard in packed] == [shard.index.size_bytes for shard in packed]
    assert len(packed) > 3 and all(shard.photos > 1 for shard in packed[:-1])
    found = {}
    for shard in packed:
        content = shard.file.read_bytes()
        assert shard.index.members.equals(index_of(content).members)
        with tarfile.open(shard.file) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file
                found[member.name] = file.read()
    assert found == {name: file.read_bytes() for name, file in photos.items()}
    assert [shard.name[:12] for shard in packed] == [f"photos-{7 + place:05d}" for place in range(len(packed))]
    assert sorted(path.name for path in out.iterdir()) == [shard.file.name for shard in packed]


def test_the_same_photos_give_the_same_shards(photos: dict[str, Path], out: Path, tmp_path: Path) -> None:
    (first,) = pack(photos, folder=out, first_number=0)
    for file in photos.values():
        file.touch()
    again = tmp_path / "again"
    again.mkdir()
    (second,) = pack(dict(reversed(photos.items())), folder=again, first_number=0)
    assert (first.name, first.file.read_bytes()) == (second.name, second.file.read_bytes())
    next(iter(photos.values())).write_bytes(b"other")
    (third,) = pack(photos, folder=out, first_number=0)
    assert third.name != first.name


def test_a_photo_larger_than_a_shard_is_one_by_itself(photos: dict[str, Path], out: Path) -> None:
    assert [shard.photos for shard in pack(photos, folder=out, first_number=0, shard_bytes=1)] == [1] * len(photos)


def test_a_contributed_photo_is_refused(photos: dict[str, Path], out: Path) -> None:
    name = f"Apple/contributed-{id_of(1)}.jpg"
    with pytest.raises(CannotPack, match=f"never packed.*{name}"):
        list(pack({**photos, name: next(iter(photos.values()))}, folder=out, first_number=0))
    assert list(out.iterdir()) == []


def test_a_file_that_cannot_be_read_is_named_and_nothing_half_is_left(photos: dict[str, Path], out: Path) -> None:
    last = max(photos)
    photos[last].unlink()
    with pytest.raises(CannotPack, match=r"4\.jpg: No such file or directory; repair it and repeat the command"):
        list(pack(photos, folder=out, first_number=0))
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "number"), [([], 0), (["other"], 0), (["photos-00003-0123456789ab", "photos-00001-0123456789ab", "zzz"], 4)]
)
def test_the_next_number_is_larger_than_all(names: list[str], number: int) -> None:
    assert next_number(names) == number


def test_the_command_packs_only_what_is_new_and_says_how_to_upload(
    photos: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "photos", tmp_path / "packed"
    pack_folder(folder, drop="first", out=out)
    printed = capsys.readouterr().out
    assert "10 photos, 10 packed now, 0 before" in printed
    assert f"aws s3 sync '{out}/first' s3://BUCKET/raw/first/" in printed and "raw/first/_READY" in printed
    before = sorted((out / "first").iterdir())
    assert [path.name.partition(".")[2] for path in before] == ["index.parquet", "tar"]

    pack_folder(folder, drop="first", out=out)
    assert "0 packed now, 10 before" in capsys.readouterr().out
    assert sorted((out / "first").iterdir()) == before

    photos["Äpfel & Co/0.jpg"].write_bytes(b"other")
    before[0].write_bytes(b"no index")  # its photos are packed again
    pack_folder(folder, drop="first", out=out)
    assert "10 packed now, 0 before" in capsys.readouterr().out
    assert [path.name[:12] for path in sorted((out / "first").glob("*.tar"))] == ["photos-00000", "photos-00001"]


def test_a_folder_that_cannot_be_written_is_named(photos: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CannotPack, match=r"file/first: .*; choose another folder with OUT=folder"):
        pack_folder(tmp_path / "photos", drop="first", out=tmp_path / "file")
