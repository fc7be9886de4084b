"""The project's bucket: the only module that talks to the object store, with the credentials of Airflow's connection."""

import contextlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import IO, Any, NamedTuple, cast

import boto3
import obstore
import tenacity
from botocore.exceptions import ClientError
from obstore.auth.boto3 import Boto3CredentialProvider
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.fsspec import FsspecStore
from obstore.store import S3Store

from fruits_contract import layout

AWS_CONN_ID = "aws_default"
DELETED_AT_ONCE = 1000  # S3's own limit
CHUNK_BYTES = 2**20
UPLOADS_AT_ONCE = 2  # parts of 5 MB of one file; obstore's own 12 take as much memory as a whole file of features
# botocore renews the credentials of an assumed role when less than ten to fifteen minutes of them are left.
CREDENTIALS_TTL = timedelta(minutes=5)


class ObjectInfo(NamedTuple):
    """One object of a listing."""

    key: str
    etag: str
    size_bytes: int


class ObjectVersion(NamedTuple):
    """One version of an object; a bucket without versions has one per object, named 'null'."""

    key: str
    version: str
    modified: datetime
    is_marker: bool  # of a deletion, without bytes
    is_current: bool = True  # not replaced and not hidden by a deletion


class IncompleteUpload(NamedTuple):
    """A multipart upload that was neither completed nor aborted: its parts are stored and are in no listing of objects."""

    key: str
    upload: str
    initiated: datetime


class Bucket:
    """Objects of the project's bucket, and how delta-rs reaches its tables.

    Parameters
    ----------
    session
        Its credentials serve boto3, obstore and delta-rs alike; those of an assumed role are refreshed by botocore.
    client
        A boto3 client of S3 with the same credentials; obstore and delta-rs use its region and endpoint.
    """

    def __init__(self, name: str, *, session: boto3.Session, client: Any) -> None:
        credentials = session.get_credentials()
        if credentials is None:
            raise PermissionError(f"there are no AWS credentials for s3://{name}; set them in the Airflow connection")
        self.name = name
        self._credentials = credentials
        self._client = client
        self._region = client.meta.region_name
        self._endpoint = client.meta.endpoint_url
        self._connection: dict[str, Any] = {
            "endpoint": self._endpoint,
            "region": self._region,
            "credential_provider": Boto3CredentialProvider(session, ttl=CREDENTIALS_TTL),
            "client_options": {"allow_http": self._is_http},
        }
        self._store = S3Store(name, **self._connection)

    @classmethod
    def of(cls, name: str, *, region: str, aws_conn_id: str | None = AWS_CONN_ID) -> "Bucket":
        """Return a bucket with the credentials and the endpoint of an Airflow connection."""
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        hook = S3Hook(aws_conn_id, region_name=region)
        return cls(name, session=hook.get_session(region), client=hook.conn)

    @property
    def _is_http(self) -> bool:
        return bool(self._endpoint.startswith("http://"))

    def table_options(self) -> dict[str, str]:
        """Return delta-rs's storage options, with credentials that are valid for ten minutes or more."""
        keys = self._credentials.get_frozen_credentials()
        if not keys.token and "AWS_SESSION_TOKEN" in os.environ:
            # delta-rs adds it to keys without a token; an empty one would be sent as such.
            raise PermissionError(
                "AWS_SESSION_TOKEN in the environment does not belong to the keys of the Airflow connection; unset it"
            )
        options = {
            "aws_access_key_id": keys.access_key,
            "aws_secret_access_key": keys.secret_key,
            "aws_region": self._region,
            "aws_endpoint": self._endpoint,
            "aws_allow_http": str(self._is_http).lower(),
            "conditional_put": "etag",
        }
        if keys.token:
            options["aws_session_token"] = keys.token
        return options

    def read(self, key: str) -> bytes:
        """Return an object's bytes; raise FileNotFoundError when there is no such object."""
        return bytes(obstore.get(self._store, key).bytes())

    def read_json(self, key: str) -> Any:
        """Return the content of a JSON object; None when there is no such object."""
        try:
            return json.loads(self.read(key))
        except FileNotFoundError:
            return None

    def read_with_etag(self, key: str) -> tuple[bytes, str]:
        """Return an object's bytes and ETag; raise FileNotFoundError when there is no such object."""
        response = obstore.get(self._store, key)
        return bytes(response.bytes()), response.meta["e_tag"] or ""

    def read_range(self, key: str, *, start: int, stop: int, etag: str) -> memoryview:
        """Return the bytes from `start` up to `stop` of an object; raise OSError when it is not the one with this ETag."""
        try:
            response = obstore.get(self._store, key, options={"range": (start, stop), "if_match": f'"{etag}"'})
            return memoryview(response.bytes())
        except PreconditionError as error:
            raise OSError(f"{self.uri(key)} was replaced while it was read") from error
        except BaseError as error:
            raise OSError(f"{self.uri(key)} could not be read: {error}") from error

    def wait_and_read(self, key: str, *, timeout_s: float) -> bytes:
        """Wait up to `timeout_s` for an object and return its bytes; raise FileNotFoundError if it does not appear."""
        retry = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(FileNotFoundError),
            stop=tenacity.stop_after_delay(timeout_s),
            wait=tenacity.wait_fixed(5),
            reraise=True,
        )
        return retry(self.read, key)

    def write(self, key: str, content: bytes) -> None:
        """Put an object, whole or not at all."""
        obstore.put(self._store, key, content)

    def upload(self, key: str, file: IO[bytes]) -> None:
        """Put the content of a local file, in parts when it is large; whole or not at all."""
        obstore.put(self._store, key, file, max_concurrency=UPLOADS_AT_ONCE)

    def write_if_unchanged(self, key: str, content: bytes, *, etag: str) -> bool:
        """Put an object unless it has changed since it was read with `etag` ('': unless it exists); return whether it was put."""
        return bool(self.replace(key, content, etag=etag))

    def replace(self, key: str, content: bytes, *, etag: str) -> str:
        """Put an object as `write_if_unchanged` does, and return its new ETag; '' when it was not put."""
        mode: Any = {"e_tag": etag} if etag else "create"
        try:
            return obstore.put(self._store, key, content, mode=mode)["e_tag"] or ""
        except (AlreadyExistsError, PreconditionError):
            return ""

    def open(self, key: str) -> IO[bytes]:
        """Open an object to read parts of it, as Parquet's readers do."""
        return cast(IO[bytes], FsspecStore("s3", **self._connection).open(f"{self.name}/{key}"))

    def objects(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects below a prefix, in the order of their keys.

        By boto3, because obstore fails the whole listing over one key with a control character or an empty segment, which S3
        allows in names of photos.
        """
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
            for item in page.get("Contents", []):
                yield _info(item)

    def files(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects directly below a prefix that ends with '/', in the order of their keys."""
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix, Delimiter="/"):
            for item in page.get("Contents", []):
                yield _info(item)

    def versions(self, prefix: str) -> Iterator[ObjectVersion]:
        """Yield all versions of the objects below a prefix, those that a deletion has hidden and its markers included."""
        for page in self._client.get_paginator("list_object_versions").paginate(Bucket=self.name, Prefix=prefix):
            for item in page.get("Versions", []):
                yield _version(item, is_marker=False)
            for item in page.get("DeleteMarkers", []):
                yield _version(item, is_marker=True)

    def delete_versions(self, versions: Iterable[ObjectVersion]) -> int:
        """Delete versions of objects for good, and return their number; those that are gone already do no harm.

        Raises
        ------
        OSError
            S3 has refused one of them.
        """
        deleted = 0
        remaining = iter(versions)
        while some := list(itertools.islice(remaining, DELETED_AT_ONCE)):
            objects = [{"Key": version.key, "VersionId": version.version} for version in some]
            response = self._client.delete_objects(Bucket=self.name, Delete={"Objects": objects, "Quiet": True})
            if refused := response.get("Errors"):
                # Without a key: that of a contributed photo must be in no log.
                first = refused[0]
                prefix, code = first["Key"].partition("/")[0], first.get("Code")
                raise OSError(
                    f"{len(refused)} objects were not deleted, e.g. one below {prefix}/: {code}, {first.get('Message')}"
                )
            deleted += len(some)
        return deleted

    def erase(self, key: str) -> int:
        """Delete all versions of one object, and return their number."""
        return self.delete_versions([version for version in self.versions(key) if version.key == key])

    def download(self, version: ObjectVersion, file: IO[bytes]) -> None:
        """Write the bytes of one version of an object into a file; raise FileNotFoundError when there is no such version."""
        try:
            response = self._client.get_object(Bucket=self.name, Key=version.key, VersionId=version.version)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                raise FileNotFoundError(f"version {version.version} of {self.uri(version.key)} is gone") from error
            raise
        for chunk in response["Body"].iter_chunks(CHUNK_BYTES):
            file.write(chunk)

    def delete_earlier_versions(self, key: str) -> int:
        """Delete all versions of one object but the current one, and return their number."""
        return self.delete_versions([each for each in self.versions(key) if each.key == key and not each.is_current])

    def incomplete_uploads(self) -> Iterator[IncompleteUpload]:
        """Yield the multipart uploads of the whole bucket that are neither completed nor aborted."""
        for page in self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self.name):
            for item in page.get("Uploads", []):
                yield IncompleteUpload(item["Key"], item["UploadId"], item["Initiated"])

    def abort_upload(self, upload: IncompleteUpload) -> None:
        """Delete the parts of an upload; one that is completed or aborted by now does no harm."""
        with contextlib.suppress(self._client.exceptions.NoSuchUpload):
            self._client.abort_multipart_upload(Bucket=self.name, Key=upload.key, UploadId=upload.upload)

    def folders(self, prefix: str) -> list[str]:
        """Return the names of the folders directly below a prefix that ends with '/'; by boto3, as `objects`."""
        names = []
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix, Delimiter="/"):
            names += [item["Prefix"].removeprefix(prefix).removesuffix("/") for item in page.get("CommonPrefixes", [])]
        return sorted(name for name in names if name)

    def uri(self, key: str) -> str:
        """Return the `s3://` address of a key."""
        return layout.uri(self.name, key)


def _info(item: dict[str, Any]) -> ObjectInfo:
    return ObjectInfo(item["Key"], item["ETag"].strip('"'), item["Size"])


def _version(item: dict[str, Any], *, is_marker: bool) -> ObjectVersion:
    return ObjectVersion(item["Key"], item["VersionId"], item["LastModified"], is_marker, item["IsLatest"])
