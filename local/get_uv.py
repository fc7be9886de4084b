"""Installs the pinned uv for the Makefile, on a machine that may have no pip and no venv.

Standard library only and Python 3.8 syntax: it runs before anything is installed. Version and hashes come from
requirements.txt.
"""

import base64
import hashlib
import html
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
TARGET = REPO / ".fruits" / "cache" / "tools" / "uv"
WHEEL_TAGS = {"x86_64": "manylinux_2_17_x86_64", "aarch64": "manylinux_2_17_aarch64"}


class Unobtainable(Exception):
    """One way of getting uv did not work; the message says why."""


def pin():
    """Return the version of uv in requirements.txt and the sha256 digests of its files."""
    text = (REPO / "requirements.txt").read_text(encoding="utf-8")
    found = re.search(r"^uv==(\S+)((?:\s*\\\n\s+--hash=sha256:[0-9a-f]{64})+)", text, re.MULTILINE)
    if not found:
        raise SystemExit(
            "requirements.txt does not pin uv with hashes; restore the line, or run `make lock` where uv is installed"
        )
    return found.group(1), set(re.findall(r"sha256:([0-9a-f]{64})", found.group(2)))


def is_version(executable, version):
    """Return whether `executable` runs and is uv of exactly this version."""
    try:
        done = subprocess.run([str(executable), "--version"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.stdout.decode().split()[:2] == ["uv", version]


def install(source):
    """Move a uv executable to its place in one step, so that no reader sees half a file."""
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    part = TARGET.with_name("uv.part-%d" % os.getpid())
    shutil.copyfile(str(source), str(part))
    part.chmod(0o755)
    part.replace(TARGET)


def from_pip(folder, version, digests):
    """Get uv with the pip of this Python, which checks the pinned hashes."""
    pinned = folder / "uv.txt"
    hashes = " ".join("--hash=sha256:" + digest for digest in sorted(digests))
    pinned.write_text("uv==%s %s\n" % (version, hashes), encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    command += ["--target", str(folder / "uv"), "--requirement", str(pinned)]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unobtainable(str(error)) from error
    if done.returncode:
        raise Unobtainable((done.stdout.decode(errors="replace").strip() or "no output").splitlines()[-1])
    return folder / "uv" / "bin" / "uv"


def index_page():
    """Return the address of uv's page in the package index that the environment names, or in PyPI."""
    index = (
        os.environ.get("UV_DEFAULT_INDEX")
        or os.environ.get("UV_INDEX_URL")
        or os.environ.get("PIP_INDEX_URL")
        or "https://pypi.org/simple"
    )
    return index.rstrip("/") + "/uv/"


def fetch(url):
    """Return the content of `url`; a user and password in it are sent as basic authentication."""
    parts = urllib.parse.urlsplit(url)
    request = urllib.request.Request(urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])))
    request.add_header("Accept", "text/html")
    if parts.username:
        login = "%s:%s" % (urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or ""))
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    with urllib.request.urlopen(request, timeout=120) as response:
        return response.read()


def from_index(folder, version, digests):
    """Get uv from the package index without pip, checking the wheel against the pinned hashes."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in WHEEL_TAGS:
        raise Unobtainable(
            "no wheel is known for %s on %s; known are linux on %s" % (sys.platform, machine, " and ".join(WHEEL_TAGS))
        )
    page = index_page()
    wheel = re.compile(r"/uv-%s-py3-none-[^/#]*%s[^/#]*\.whl(?:#|$)" % (re.escape(version), WHEEL_TAGS[machine]))
    try:
        links = re.findall(r"""href\s*=\s*["']([^"']+)["']""", fetch(page).decode("utf-8", "replace"), re.IGNORECASE)
        addresses = [urllib.parse.urljoin(page, html.unescape(link)) for link in links]
        found = [address for address in addresses if wheel.search(address)]
        if not found:
            raise Unobtainable("%s lists no uv %s for %s" % (page.rpartition("@")[2], version, WHEEL_TAGS[machine]))
        content = fetch(found[0].partition("#")[0])
    except OSError as error:
        raise Unobtainable(str(error)) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest not in digests:
        raise Unobtainable(
            "the wheel's sha256 is %s, which requirements.txt does not name; the index may serve a changed file" % digest
        )
    name = "uv-%s.data/scripts/uv" % version
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return Path(archive.extract(name, str(folder)))


def main():
    """Print the path of a uv of the pinned version, getting it first when there is none."""
    version, digests = pin()
    for candidate in (TARGET, shutil.which("uv")):
        if candidate and is_version(candidate, version):
            print(candidate)
            return
    print("Getting uv %s, the installer, into %s" % (version, TARGET.parent), file=sys.stderr)
    reasons = []
    for way in (from_pip, from_index):
        with tempfile.TemporaryDirectory() as folder:
            try:
                install(way(Path(folder), version, digests))
            except (Unobtainable, OSError) as error:
                reasons.append("  %s %s" % (way.__doc__.splitlines()[0], error))
                continue
        if is_version(TARGET, version):
            print(TARGET)
            return
        reasons.append("  %s It was installed but does not run here." % way.__doc__.splitlines()[0])
    raise SystemExit(
        "uv %s could not be installed:\n%s\n"
        "Either install uv %s yourself so that it is on PATH (https://docs.astral.sh/uv/), or name a package index\n"
        "that can be reached in PIP_INDEX_URL (and its certificate authority in SSL_CERT_FILE), then run make again."
        % (version, "\n".join(reasons), version)
    )


if __name__ == "__main__":
    main()
