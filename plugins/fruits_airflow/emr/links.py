"""Links from tasks to the AWS console, and to the pages of this project inside Airflow."""

from typing import Any

from airflow.providers.amazon.aws.links.base_aws import BASE_AWS_CONSOLE_LINK, BaseAwsLink
from airflow.providers.amazon.aws.links.emr import EmrLogsLink
from airflow.sdk import BaseOperatorLink

from fruits_airflow.ui import addresses
from fruits_contract import layout


class ClusterLogsLink(EmrLogsLink):
    """`EmrLogsLink` for a LogUri with a prefix, which the provider's address takes for a part of the bucket's name."""

    format_str = BASE_AWS_CONSOLE_LINK + "/s3/buckets/{bucket}?region={region_name}&prefix={prefix}{job_flow_id}/"

    def format_link(self, **kwargs: Any) -> str:
        """Return the address, or '' for a cluster without a LogUri."""
        bucket, _, prefix = (kwargs.get("log_uri") or "").partition("/")
        return super().format_link(**kwargs, bucket=bucket, prefix=prefix)


class StepLogLink(BaseAwsLink):
    """The page with the output of a stage's EMR step, which the operator names in an XCom, as the provider's operators do."""

    name = "Step log"
    key = "step_log"

    def format_link(self, **kwargs: Any) -> str:
        """Return the address of the page."""
        return addresses.in_airflow(addresses.step_log(kwargs["job_flow_id"], kwargs["step_id"]))


class SparkHistoryLink(StepLogLink):
    """The Spark history of the stage's cluster. Outside Airflow's frame, in which EMR's page would not be shown."""

    name = "Spark history"

    def format_link(self, **kwargs: Any) -> str:
        """Return the address of the page that leads there."""
        return addresses.by_itself(addresses.spark_history(kwargs["job_flow_id"]))


class ReportLink(BaseOperatorLink):
    """The page with the run's report."""

    name = "Report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address of the page."""
        return addresses.in_airflow(addresses.report(layout.run_name(ti_key.run_id)))


class ModelCardLink(BaseOperatorLink):
    """The page with the model card of the classifier that the run has trained."""

    name = "Model card"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address of the page."""
        return addresses.in_airflow(addresses.card(layout.run_name(ti_key.run_id)))
