"""Builds a release of the code and uploads it: everything that a run needs on its nodes, below code/<release>/.

Run as `python -m release.upload --bucket BUCKET`. Endpoint, region and keys come from the standard AWS environment.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from fruits_contract import layout
from release import contents, extractor, weights, wheelhouse

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Say = Callable[[str], None]
_AT_ONCE = 8


@dataclass(frozen=True)
class ReleaseCard:
    """The content of `release.json`: the release's id, its extractor, the sha256 of each file by key, and what it can do.

    Parameters
    ----------
    tensorflow
        Whether the nodes' Python has the reference engine.
    shards
        Whether featurize reads photos in shards; releases before packed drops do not.
    """

    release: str
    extractor: str
    files: dict[str, str]
    tensorflow: bool = False
    shards: bool = False

    def to_json(self) -> str:
        """Return the card as indented JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"


def upload_release(bucket: str, *, root: Path = contents.ROOT, say: Say = print, tensorflow: bool = False) -> ReleaseCard:
    """Upload the release that the source tree makes, unless it is in the bucket already.

    With `tensorflow` the nodes' Python has the reference engine too, 300 MB more to fetch at every start of a node.

    `release.json` is put last, so a release without it is half an upload: nobody may use it, and the next call
    does it again.

    Raises
    ------
    MissingSource, WheelsMissing, WrongWeights, BadExport
        When the release cannot be built; nothing has been uploaded then.
    """
    network = extractor.ensure()
    requirements = _requirements(tensorflow=tensorflow)
    release = contents.collect(network.digest, root=root, requirements=requirements)
    s3 = boto3.client("s3")
    known = _read_card(s3, bucket, layout.release_card(release.release))
    if known:
        say(f"release {release.release}: in the bucket already, nothing uploaded")
        return known

    wheels = wheelhouse.ensure(root / requirements)
    sources: dict[str, bytes | Path] = {f"{layout.wheels_prefix(release.release)}{path.name}": path for path in wheels.iterdir()}
    sources |= release.files
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        digests = dict(zip(sources, pool.map(_sha256, sources.values()), strict=True))
    card = ReleaseCard(release.release, network.digest, dict(sorted(digests.items())), tensorflow, shards=True)
    _upload(s3, bucket, card, sources, say)
    for key, file in {
        layout.extractor(network.digest): network.path(),
        layout.extractor_keras(network.digest): network.keras_path(),
    }.items():
        if not _exists(s3, bucket, key):
            say(f"release {card.release}: uploading the extractor {key}")
            _put(s3, bucket, key, file)
    s3.put_object(Bucket=bucket, Key=layout.release_card(card.release), Body=card.to_json().encode())
    say(f"release {card.release}: complete, s3://{bucket}/{layout.release_prefix(card.release)}")
    return card


def _requirements(*, tensorflow: bool) -> str:
    return contents.REQUIREMENTS_TENSORFLOW if tensorflow else contents.REQUIREMENTS


def _upload(s3: "S3Client", bucket: str, card: ReleaseCard, sources: Mapping[str, bytes | Path], say: Say) -> None:
    earlier = _files_of_newest_release(s3, bucket)
    done = dict.fromkeys(("copied", "uploaded"), 0)

    def place(key: str) -> str:
        twin = earlier.get(card.files[key])
        if twin:
            s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": twin})
            return "copied"
        _put(s3, bucket, key, sources[key])
        return "uploaded"

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for count, how in enumerate(pool.map(place, sources), 1):
            done[how] += 1
            if count % 10 == 0 or count == len(sources):
                say(
                    f"release {card.release}: {count} of {len(sources)} files "
                    f"({done['uploaded']} uploaded, {done['copied']} copied inside the bucket)"
                )


def _files_of_newest_release(s3: "S3Client", bucket: str) -> dict[str, str]:
    """Return key by sha256, so that wheels that did not change are copied in the bucket rather than sent again."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=layout.CODE)
    modified_by_key = {item["Key"]: item["LastModified"] for page in pages for item in page.get("Contents", [])}
    cards = [key for key in modified_by_key if key == layout.release_card(key.removeprefix(layout.CODE).split("/")[0])]
    newest = _read_card(s3, bucket, max(cards, key=modified_by_key.__getitem__)) if cards else None
    return {digest: key for key, digest in newest.files.items() if key in modified_by_key} if newest else {}


def _read_card(s3: "S3Client", bucket: str, key: str) -> ReleaseCard | None:
    try:
        return ReleaseCard(**json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
    except s3.exceptions.NoSuchKey:
        return None


def _exists(s3: "S3Client", bucket: str, key: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return False
        raise
    return True


def _put(s3: "S3Client", bucket: str, key: str, source: bytes | Path) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=source.read_bytes() if isinstance(source, Path) else source)


def _sha256(source: bytes | Path) -> str:
    return hashlib.sha256(source.read_bytes() if isinstance(source, Path) else source).hexdigest()


def main() -> None:
    """Publish a release, or only say what it would be."""
    parser = argparse.ArgumentParser(prog="python -m release.upload", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--bucket", help="the project's bucket")
    what.add_argument("--print", action="store_true", help="print the release's id and its files; upload nothing")
    parser.add_argument("--tensorflow", action="store_true", help="give the nodes TensorFlow as well, for engine=tensorflow")
    arguments = parser.parse_args()
    try:
        if arguments.print:
            release = contents.collect(extractor.ensure().digest, requirements=_requirements(tensorflow=arguments.tensorflow))
            print("\n".join([release.release, *sorted(release.files)]))
        else:
            print(upload_release(arguments.bucket, tensorflow=arguments.tensorflow).release)
    except (contents.MissingSource, wheelhouse.WheelsMissing, weights.WrongWeights, extractor.BadExport) as error:
        sys.exit(f"release: {error}")
    except (ClientError, BotoCoreError) as error:
        sys.exit(f"release: nothing complete was uploaded to {arguments.bucket}: {error}")


if __name__ == "__main__":
    main()
