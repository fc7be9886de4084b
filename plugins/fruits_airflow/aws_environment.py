"""The bucket by the standard AWS environment instead of Airflow's connection, for commands that work where Airflow does not."""

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from obstore.exceptions import BaseError as StorageError

from fruits_airflow.bucket import Bucket

ON_ONE_MACHINE = 'on one machine: make up, then eval "$(make -s env)"'


class NoAccess(RuntimeError):
    """There are no credentials, or S3 was not reached or has refused; the message says what to do."""


@contextmanager
def bucket_from_environment(name: str) -> Iterator[Bucket]:
    """Yield a bucket with the credentials, region and endpoint of the environment.

    Raises
    ------
    NoAccess
        There are no credentials, or a request in the body failed.
    """
    session = boto3.Session()
    if session.get_credentials() is None:
        raise NoAccess(f"there are no AWS credentials for s3://{name} in the environment; {ON_ONE_MACHINE}")
    try:
        yield Bucket(name, session=session, client=session.client("s3"))
    except (BotoCoreError, ClientError, StorageError) as error:
        reason = str(error).splitlines()[0]
        raise NoAccess(f"s3://{name} cannot be accessed: {reason}; {ON_ONE_MACHINE}") from error
