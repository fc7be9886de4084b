"""What Airflow does days after a run, done at once: old photos, files that no table needs, an incomplete upload."""

import os
import sys
from datetime import UTC, datetime, timedelta
from unittest import mock

import boto3

from fruits_airflow import maintenance, retention
from fruits_airflow.bucket import Bucket
from fruits_contract import layout


def main() -> int:
    """Use the bucket of the environment as housekeeping does 12 days from now."""
    name = os.environ["FRUITS_BUCKET"]
    owner = boto3.client("s3", endpoint_url=os.environ["UPLOADS_TO"])  # past the proxy: the upload is not Airflow's
    owner.create_multipart_upload(Bucket=name, Key=layout.raw_image("broken", "Apple 6", "1.jpg"))
    session = boto3.Session()
    bucket = Bucket(name, session=session, client=session.client("s3"))
    retention.enforce_retention(bucket, now=datetime.now(UTC) + timedelta(days=12))
    with mock.patch.object(maintenance, "KEPT_HOURS", 0):
        maintenance.maintain_tables(bucket)
    return 0


if __name__ == "__main__":
    sys.exit(main())
