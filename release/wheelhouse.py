"""The wheels that an EMR node installs its Python from, fetched for the node's platform and kept by digest."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CACHE = Path(__file__).resolve().parents[1] / ".fruits" / "cache" / "wheels"
REQUIREMENTS = "requirements.txt"

# EMR 7 nodes are Amazon Linux 2023: glibc 2.34, x86_64.
_PLATFORMS = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux_2_17", "manylinux2014")


class WheelsMissing(RuntimeError):
    """Not every pinned requirement could be fetched as a wheel."""


def ensure(requirements: Path, cache: Path = CACHE) -> Path:
    """Return a folder with `requirements.txt` and a wheel for each of its lines, fetching what is missing."""
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    folder = cache / digest
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    print(f"wheels: fetching those of {requirements} into {folder}", flush=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        part = Path(scratch) / "wheels"
        part.mkdir()
        _download(requirements, part)
        shutil.copyfile(requirements, part / REQUIREMENTS)
        try:
            part.rename(folder)
        except OSError:
            # Another process was quicker and has put the same wheels there.
            if not folder.is_dir():
                raise
    return folder


def _download(requirements: Path, folder: Path) -> None:
    argv = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--only-binary",
        ":all:",
    ]
    argv += ["--implementation", "cp", "--python-version", "3.11", "--abi", "cp311", "--abi", "abi3", "--abi", "none"]
    argv += [word for name in _PLATFORMS for word in ("--platform", f"{name}_x86_64")]
    # backports-strenum says it needs Python < 3.11, ai-edge-litert requires it anyway; it works.
    argv += ["--ignore-requires-python", "--dest", str(folder), "--requirement", str(requirements)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise WheelsMissing(
            f"pip could not fetch the wheels of {requirements} for Python 3.11, Linux x86_64:\n{done.stderr.strip()}\n"
            "Without a network, copy .fruits/cache/wheels from a machine that has it; after a change of "
            "bootstrap/requirements.in, run `make lock`."
        )
