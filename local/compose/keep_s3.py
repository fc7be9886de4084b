"""Keeps what is in LocalStack's S3 over restarts: its free edition holds all of it in memory only.

LocalStack runs this file in its own process, before it answers the first request (`/etc/localstack/init/start.d`). From then on
each change of a bucket or an object is on the volume before its client hears of it: the bytes as a file per version, all else
pickled in SQLite. So `docker kill` loses nothing that was acknowledged. Written for the pinned 4.14.0; another one whose S3 has
other insides is refused at the start. With a plan that has persistence (`PERSISTENCE=1`) this file does nothing.

Not kept: unfinished multipart uploads, tags of buckets and objects, uploads by browser forms (PostObject), other services.
"""

import copy
import hashlib
import logging
import os
import pickle
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from localstack import config
from localstack.aws import handlers
from localstack.services.plugins import SERVICE_PLUGINS
from localstack.services.s3.models import S3Bucket, S3Object, VersionedKeyStore, s3_stores

FOLDER = Path("/var/lib/localstack/fruits-s3")
READING = ("Get", "Head", "List", "Select")
UNFINISHED = ("CreateMultipartUpload", "UploadPart", "UploadPartCopy", "AbortMultipartUpload")
LOG = logging.getLogger("localstack.fruits.keep_s3")


class KeptS3:
    """The volume's copy of every bucket and object, and the way back from it."""

    def __init__(self, folder: Path, backend: Any) -> None:
        self._folder, self._backend = folder / "versions", backend
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(folder / "index.sqlite", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS buckets (name TEXT PRIMARY KEY, bucket BLOB)")
        self._db.execute("CREATE TABLE IF NOT EXISTS keys (bucket TEXT, key TEXT, versions BLOB, PRIMARY KEY (bucket, key))")

    def restore(self) -> tuple[int, int]:
        """Fill LocalStack's empty S3; return how many buckets and keys there are."""
        buckets = {name: pickle.loads(bucket) for name, bucket in self._db.execute("SELECT * FROM buckets")}
        for name, bucket in buckets.items():
            store = s3_stores[bucket.bucket_account_id][bucket.bucket_region]
            store.buckets[name], store.global_bucket_map[name] = bucket, bucket.bucket_account_id
            self._backend.create_bucket(name)
        rows = self._db.execute("SELECT * FROM keys").fetchall()
        for name, key, pickled in rows:
            versions = pickle.loads(pickled)
            buckets[name].objects._store[key] = versions
            for item in _objects(versions):
                with self._path(name, item).open("rb") as kept, self._backend.open(name, item, mode="w") as stored:
                    before = copy.copy(item)
                    stored.write(kept)
                    # the MD5 of the whole is not the ETag of what came in parts
                    item.etag = before.etag
                    item.internal_last_modified = stored.file.internal_last_modified = before.internal_last_modified
        return len(buckets), len(rows)

    def keep_bucket(self, name: str) -> None:
        """Write down a bucket's settings as they are now, or that it is gone."""
        with self._lock:
            bucket = _find(name)
            if bucket is None:
                self._db.execute("DELETE FROM buckets WHERE name = ?", (name,))
                return
            bare = copy.copy(bucket)
            bare.objects, bare.multiparts = type(bucket.objects)(), {}
            self._db.execute("REPLACE INTO buckets VALUES (?, ?)", (name, pickle.dumps(bare)))

    def keep_key(self, name: str, key: str) -> None:
        """Write down all versions of a key as they are now, or that there are none."""
        with self._lock:
            bucket = _find(name)
            versions = bucket.objects._store.get(key) if bucket else None
            row = self._db.execute("SELECT versions FROM keys WHERE bucket = ? AND key = ?", (name, key)).fetchone()
            earlier = {self._path(name, item) for item in _objects(pickle.loads(row[0]))} if row else set()
            now = {self._path(name, item): item for item in _objects(versions)}
            for path, item in now.items():
                if not path.exists():
                    self._write(path, name, item)
            if versions:
                self._db.execute("REPLACE INTO keys VALUES (?, ?, ?)", (name, key, pickle.dumps(versions)))
            else:
                self._db.execute("DELETE FROM keys WHERE bucket = ? AND key = ?", (name, key))
            for path in earlier - set(now):
                path.unlink(missing_ok=True)

    def keep_all_keys(self, name: str) -> None:
        """Write down every key of a bucket, after versioning has been switched on and all its objects became versions."""
        bucket = _find(name)
        for key in list(bucket.objects._store if bucket else ()):
            self.keep_key(name, key)

    def _write(self, path: Path, name: str, item: Any) -> None:
        path.parent.mkdir(exist_ok=True)
        part = path.with_suffix(".part")
        with self._backend.open(name, item, mode="r") as stored, part.open("wb") as file:
            file.writelines(stored)
        part.replace(path)

    def _path(self, name: str, item: Any) -> Path:
        # a version is written once: what identifies it does not change, and a key written anew gets a new file
        identity = f"{name}\n{item.key}\n{item.version_id}\n{item.internal_last_modified}"
        digest = hashlib.sha256(identity.encode()).hexdigest()
        return self._folder / digest[:2] / digest


def _objects(versions: Any) -> list[Any]:
    """Return the objects with bytes among what LocalStack holds for a key: one object, or versions and delete markers."""
    held: Iterable[Any] = versions.values() if isinstance(versions, dict) else [versions]
    return [item for item in held if isinstance(item, S3Object)]


def _find(name: str) -> S3Bucket | None:
    for _, _, store in s3_stores.iter_stores():
        if name in store.buckets:
            return store.buckets[name]
    return None


def _note_change(kept: KeptS3, context: Any, response: Any) -> None:
    """Bring the volume up to date with what a request has changed, before its answer is sent."""
    if (
        context.service is None
        or context.service.service_name != "s3"
        or context.operation is None
        or response.status_code >= 400
    ):
        return
    operation, request = context.operation.name, context.service_request or {}
    name = request.get("Bucket")
    if name is None or operation.startswith(READING) or operation in UNFINISHED:
        return
    if operation == "DeleteObjects":
        for item in request["Delete"]["Objects"]:
            kept.keep_key(name, item["Key"])
    elif "Key" in request:
        kept.keep_key(name, request["Key"])
    else:
        kept.keep_bucket(name)
        if operation == "PutBucketVersioning":
            kept.keep_all_keys(name)


def start() -> None:
    """Restore, then follow every change."""
    backend = SERVICE_PLUGINS.require("s3")._provider._storage_backend
    if not hasattr(VersionedKeyStore(), "_store"):
        raise RuntimeError("LocalStack's S3 holds its objects in another way than keep_s3.py knows")
    kept = KeptS3(FOLDER, backend)
    buckets, keys = kept.restore()

    def follow(chain: Any, context: Any, response: Any) -> None:
        try:
            _note_change(kept, context, response)
        except Exception:
            LOG.exception("a change could not be kept; ending, so that nobody relies on it")
            os._exit(1)

    handlers.run_custom_response_handlers.append(follow)
    print(f"S3 is kept in {FOLDER}: {buckets} buckets, {keys} keys restored", flush=True)


if not config.PERSISTENCE:
    try:
        start()
    except BaseException:
        LOG.exception("keep_s3.py does not fit this LocalStack: take the image that docker-compose.yaml pins, or PERSISTENCE=1")
        os._exit(1)
