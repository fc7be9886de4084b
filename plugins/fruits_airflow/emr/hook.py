"""The provider's hook for EMR, which finds what an earlier try of the task has started instead of starting it again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tenacity
from airflow.providers.amazon.aws.hooks.emr import EmrHook
from airflow.providers.amazon.aws.utils.waiter_with_logging import RETRIABLE_ERROR_CODES
from airflow.providers.common.compat.sdk import AirflowFailException
from botocore.config import Config
from botocore.exceptions import ClientError

from fruits_airflow.emr.live_clusters import find_cluster

UNFINISHED = ("PENDING", "RUNNING")
ENDED_BY_ITSELF = ("COMPLETED", "FAILED")
THROTTLED = ("ThrottlingException", "Throttling", "RequestThrottled", "RequestThrottledException", "TooManyRequestsException")


def is_throttled(error: BaseException) -> bool:
    """Return whether EMR has refused a request because there were too many."""
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in THROTTLED


REPEATED_WHERE_THROTTLED = tenacity.Retrying(
    retry=tenacity.retry_if_exception(is_throttled),
    wait=tenacity.wait_random_exponential(max=10),
    stop=tenacity.stop_after_attempt(5),
    reraise=True,
)


class ReattachingHook(EmrHook):
    """`EmrHook` for the requests that start a cluster or a step.

    Neither request can be repeated safely: its response may be lost after EMR has carried it out. So botocore repeats nothing
    here. The task is retried instead, and its next try looks first for what the request has started. A throttled request is
    repeated: EMR has refused it.

    Attributes
    ----------
    is_retry
        Whether the task is repeated by itself, after an error or the loss of its worker, and not by a person who has cleared it.
        Then a step that has ended counts as well: the task was lost before it could report the step's end.
    step_created_at
        When the step was added to which the task has reattached, in seconds since the epoch; None for a new step.
    has_created_cluster
        Whether this try has started a cluster, rather than found one.
    """

    is_retry = False
    step_created_at: float | None = None
    has_created_cluster = False

    @property
    def config(self) -> Config:
        """Return the connection's configuration of botocore, without repetitions."""
        config: Config = super().config.merge(Config(retries={"total_max_attempts": 1}))
        return config

    @property
    def _reader(self) -> Any:
        """A client for requests that change nothing, which botocore repeats as the connection says."""
        return EmrHook(aws_conn_id=self.aws_conn_id, region_name=self._region_name, verify=self._verify, config=self._config).conn

    def create_job_flow(self, job_flow_overrides: dict[str, Any]) -> dict[str, Any]:
        """Return the run's live cluster as RunJobFlow would, or start one."""
        cluster = find_cluster(self._reader, job_flow_overrides)
        if cluster is None:
            self.has_created_cluster = True
            created: dict[str, Any] = REPEATED_WHERE_THROTTLED(super().create_job_flow, job_flow_overrides)
            return created
        self.log.info("The run has a cluster already: %s", cluster)
        return {"JobFlowId": cluster, "ResponseMetadata": {"HTTPStatusCode": 200}}

    def add_job_flow_steps(self, job_flow_id: str, steps: Any = None, *args: Any, **kwargs: Any) -> list[str]:
        """Return the id of the step that an earlier try has added, or add it.

        The newest step of the name counts: one that is pending or running always, one that has ended by itself in a retry only,
        and one that was cancelled never.
        """
        (step,) = steps
        wanted = (*UNFINISHED, *ENDED_BY_ITSELF) if self.is_retry else UNFINISHED
        listed = self._reader.list_steps(ClusterId=job_flow_id)["Steps"]  # the newest first
        newest = next((item for item in listed if item["Name"] == step["Name"]), None)
        if newest is not None and newest["Status"]["State"] in wanted:
            self.log.info("Step %s is %s already: waiting for it", newest["Id"], newest["Status"]["State"])
            self.step_created_at = newest["Status"]["Timeline"]["CreationDateTime"].timestamp()
            return [newest["Id"]]
        added: list[str] = REPEATED_WHERE_THROTTLED(super().add_job_flow_steps, job_flow_id, steps, *args, **kwargs)
        return added


@contextmanager
def no_retry_if_refused() -> Iterator[None]:
    """Fail the task for good if EMR refuses a request, such as for missing rights; throttling and errors of EMR are retried."""
    try:
        yield
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status < 500 and error.response["Error"]["Code"] not in RETRIABLE_ERROR_CODES:
            raise AirflowFailException(str(error)) from error
        raise
