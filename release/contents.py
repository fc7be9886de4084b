"""What a release of the code consists of, and the id that follows from it: same content, same id."""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

from fruits_contract import layout, pipelines

ROOT = Path(__file__).resolve().parents[1]

# Data files that the packages read with importlib.resources, beside the code.
_PACKAGED = {".py", ".toml", ".html", ".css", ".js", ".svg", ".json"}
_LINTER = "ruff.toml"
_PACKAGES = ("spark_apps/fruits", "plugins/fruits_contract")
_INSTALLER = "bootstrap/install_python.sh"
REQUIREMENTS = "bootstrap/requirements.txt"
REQUIREMENTS_TENSORFLOW = "bootstrap/requirements-tensorflow.txt"


class MissingSource(RuntimeError):
    """A file that belongs to every release is missing."""


@dataclass(frozen=True)
class Contents:
    """The release's id and its files, each by its key in the bucket; the wheels are not among them."""

    release: str
    files: dict[str, bytes]


def collect(extractor: str, *, root: Path = ROOT, requirements: str = REQUIREMENTS) -> Contents:
    """Read a release from the source tree.

    Parameters
    ----------
    extractor
        Digest of the feature extractor; part of the id, because the stages' results depend on it.
    requirements
        What the nodes' Python has: `REQUIREMENTS` or `REQUIREMENTS_TENSORFLOW`.

    Raises
    ------
    MissingSource
        When a stage script or another file is missing.
    """
    packages = _package_files(root)
    scripts = {stage.name: read(root / "spark_apps" / f"{stage.name}.py") for stage in pipelines.STAGES}
    installer = read(root / _INSTALLER)
    parts = packages | {f"{name}.py": content for name, content in scripts.items()}
    parts |= {_INSTALLER: installer, "requirements": read(root / requirements), "extractor": extractor.encode()}
    release = _digest(parts)
    files = {layout.package_zip(release): zipped(packages), layout.bootstrap_script(release): installer}
    files |= {layout.stage_script(release, name): content for name, content in scripts.items()}
    return Contents(release, files)


def _package_files(root: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for package in _PACKAGES:
        folder = root / package
        if not (folder / "__init__.py").is_file():
            raise MissingSource(f"{folder} holds no __init__.py; expected the package {folder.name}: check out the whole tree")
        for path in folder.rglob("*"):
            if path.suffix in _PACKAGED and path.name != _LINTER and path.is_file():
                found[path.relative_to(folder.parent).as_posix()] = path.read_bytes()
    return found


def read(path: Path) -> bytes:
    """Return a file's content; raise `MissingSource` where it is missing."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise MissingSource(f"{path} is missing, but every release holds it: check out the whole tree") from None


def _digest(parts: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name in sorted(parts):
        digest.update(f"{name} {hashlib.sha256(parts[name]).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]


def zipped(files: dict[str, bytes]) -> bytes:
    """Return a zip archive of files by name."""
    # Stored, sorted and of one date: the bytes depend on the files alone, not on the clock or on zlib's version.
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            member.create_system = 3  # Unix, whatever system this runs on
            member.external_attr = 0o644 << 16
            archive.writestr(member, files[name])
    return content.getvalue()
