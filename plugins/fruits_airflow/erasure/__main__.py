"""Requests an erasure: `python -m fruits_airflow.erasure --bucket NAME --contribution ID`; housekeeping does it.

Uses the standard AWS environment instead of Airflow's connection, so that it works where Airflow does not.
"""

import argparse
import sys
from datetime import UTC, datetime

import boto3
from botocore.exceptions import BotoCoreError
from obstore.exceptions import BaseError as StorageError

from fruits_airflow.bucket import Bucket
from fruits_airflow.erasure.requests import InvalidRequest, write_request

ON_ONE_MACHINE = 'on one machine: make up, then eval "$(make -s env)"'


def main(argv: list[str] | None = None) -> int:
    """Write the request and return the exit code: 0 done, 1 refused, 2 wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m fruits_airflow.erasure",
        description="Request the erasure of contributed photos; the task erase_contributions of fruits_housekeeping does it.",
    )
    parser.add_argument("--bucket", required=True, help="the project's bucket")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--contribution", default="", help="id of one contribution: the part of the deletion token before the dot")
    what.add_argument("--contributor", default="", help="keyed hash of a contributor: all of their photos")
    arguments = parser.parse_args(argv)
    session = boto3.Session()
    if session.get_credentials() is None:
        print(f"there are no AWS credentials for s3://{arguments.bucket} in the environment; {ON_ONE_MACHINE}", file=sys.stderr)
        return 1
    try:
        bucket = Bucket(arguments.bucket, session=session, client=session.client("s3"))
        request = write_request(
            bucket, contribution=arguments.contribution, contributor=arguments.contributor, now=datetime.now(UTC)
        )
    except InvalidRequest as error:
        print(error, file=sys.stderr)
        return 1
    except (BotoCoreError, StorageError) as error:
        reason = str(error).splitlines()[0]
        print(f"s3://{arguments.bucket} cannot be written: {reason}; {ON_ONE_MACHINE}", file=sys.stderr)
        return 1
    print(f"request {request.request} is written; fruits_housekeeping erases within the hour, after runs that are under way")
    return 0


if __name__ == "__main__":
    sys.exit(main())
