"""Jars are fetched once, and nothing but the pinned files is taken: from an HTTP server of this test."""

import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import tenacity

from local.stack import jars

PATH = "org/example/a/1.0/a-1.0.jar"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a folder as Maven Central; one jar of it is pinned as the set `yarn`."""
    served = tmp_path / "served"
    jar = served / PATH
    jar.parent.mkdir(parents=True)
    jar.write_bytes(b"a jar")
    digest = hashlib.sha256(b"a jar").hexdigest()
    (tmp_path / "jars-yarn.sha256").write_text(f"{digest}  {PATH}\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(SimpleHTTPRequestHandler, directory=str(served)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(jars, "MAVEN_CENTRAL", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setattr(jars, "PINNED", tmp_path)
    monkeypatch.setattr(jars, "FOLDER", tmp_path / "cache")
    monkeypatch.setattr(tenacity.nap.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield served
    server.shutdown()
    server.server_close()


def test_jars_are_fetched_once(repository: Path) -> None:
    folder = jars.fetch("yarn")
    assert (folder / "a-1.0.jar").read_bytes() == b"a jar"
    (repository / PATH).unlink()
    assert jars.fetch("yarn") == folder, "nothing is left to fetch"


def test_a_damaged_cache_is_fetched_again(repository: Path) -> None:
    damaged = jars.fetch("yarn") / "a-1.0.jar"
    damaged.write_bytes(b"half")
    assert (jars.fetch("yarn") / "a-1.0.jar").read_bytes() == b"a jar"


def test_another_file_than_the_pinned_one_is_refused(repository: Path) -> None:
    (repository / PATH).write_bytes(b"something else")
    with pytest.raises(jars.JarsUnobtainable, match=f"{PATH} is not the file with the digest .* put the jars named in"):
        jars.fetch("yarn")
    assert not jars.folder_of("yarn").exists()


def test_what_cannot_be_fetched_is_named_with_the_reason(repository: Path) -> None:
    (repository / PATH).unlink()
    with pytest.raises(jars.JarsUnobtainable, match=f"{PATH}: HTTP Error 404: File not found"):
        jars.fetch("yarn")
