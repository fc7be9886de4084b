"""Requests an erasure: `python -m fruits_airflow.erasure --bucket NAME --contribution ID`; housekeeping does it."""

import argparse
import sys
from datetime import UTC, datetime

from fruits_airflow.aws_environment import NoAccess, bucket_from_environment
from fruits_airflow.erasure.requests import InvalidRequest, write_request


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
    try:
        with bucket_from_environment(arguments.bucket) as bucket:
            request = write_request(
                bucket, contribution=arguments.contribution, contributor=arguments.contributor, now=datetime.now(UTC)
            )
    except (NoAccess, InvalidRequest) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"request {request.request} is written; fruits_housekeeping erases within the hour, after runs that are under way")
    return 0


if __name__ == "__main__":
    sys.exit(main())
