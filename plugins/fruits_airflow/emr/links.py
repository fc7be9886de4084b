"""Links from tasks to the AWS console."""

from typing import Any

from airflow.providers.amazon.aws.links.base_aws import BASE_AWS_CONSOLE_LINK
from airflow.providers.amazon.aws.links.emr import EmrLogsLink


class ClusterLogsLink(EmrLogsLink):
    """`EmrLogsLink` for a LogUri with a prefix, which the provider's address takes for a part of the bucket's name."""

    format_str = BASE_AWS_CONSOLE_LINK + "/s3/buckets/{bucket}?region={region_name}&prefix={prefix}{job_flow_id}/"

    def format_link(self, **kwargs: Any) -> str:
        """Return the address, or '' for a cluster without a LogUri."""
        bucket, _, prefix = (kwargs.get("log_uri") or "").partition("/")
        return super().format_link(**kwargs, bucket=bucket, prefix=prefix)
