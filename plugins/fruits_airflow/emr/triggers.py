"""The Amazon provider's triggers, which poll EMR, with a line in the task's log every few seconds in between."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any, Self

from airflow.providers.amazon.aws.hooks.emr import EmrHook
from airflow.providers.amazon.aws.triggers.base import AwsBaseWaiterTrigger
from airflow.providers.amazon.aws.triggers.emr import EmrAddStepsTrigger, EmrTerminateJobFlowTrigger
from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.triggers.base import TriggerEvent
from airflow.utils.state import State
from asgiref.sync import sync_to_async
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError

from fruits_airflow.bucket import Bucket
from fruits_contract.progress import Progress

ON_KILL_LIMIT_S = 25  # below Airflow's own limit, 30
REPORT_EVERY_S = 4.0  # with the requests that a line takes, no more than 5 s


class ServiceAway(Exception):
    """EMR answered a poll with an error of its own; the step or the cluster may be well."""


class ReportingTrigger(AwsBaseWaiterTrigger):
    """Wait as the provider does, also while EMR cannot be reached, and log meanwhile how far it is.

    Parameters
    ----------
    since
        When the wait began, in seconds since the epoch; kept when another triggerer takes over. The time limit,
        `waiter_delay * waiter_max_attempts`, counts from it.
    """

    aws_hook_class = EmrHook

    def __init__(self, *, since: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.serialized_fields["since"] = since
        self.since = since
        self.deadline = since + self.waiter_delay * self.attempts

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the provider's event."""
        await self.news()  # what is there already is not new: an earlier attempt of the task may have left it
        reporting = asyncio.create_task(self._report())
        try:
            async for event in self._wait():
                reporting.cancel()
                if last_news := await self.news():
                    self.log.info("%s", last_news)
                yield event
        finally:
            reporting.cancel()

    async def _wait(self) -> AsyncIterator[TriggerEvent]:
        """Wait as the provider does; start again where it gives up because EMR is away, as long as there is time."""
        while True:
            self.attempts = max(1, int((self.deadline - time.time()) / self.waiter_delay))
            try:
                async for event in super().run():
                    yield event
                return
            except (NoConnectionError, HTTPClientError, ServiceAway) as error:
                if time.time() > self.deadline:
                    yield super()._event_from_exception(AirflowException(f"EMR cannot be reached: {error}"))
                    return
                self.log.warning("EMR cannot be reached; still waiting: %s", error)
                await asyncio.sleep(self.waiter_delay)

    def _event_from_exception(self, error: AirflowException) -> TriggerEvent:
        """Raise ServiceAway for a poll that EMR answered with 5xx; the provider goes on for some codes only."""
        response = getattr(error.__context__, "last_response", {})
        if response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
            raise ServiceAway(str(error)) from error
        return super()._event_from_exception(error)

    async def _report(self) -> None:
        state = ClusterState(self.waiter_args["ClusterId"], every_s=self.waiter_delay)
        while True:
            try:
                # Shielded: a request to Airflow that is cancelled before its response ends the triggerer of Airflow 3.0.
                async with await asyncio.shield(self.hook().get_async_conn()) as emr:
                    while True:
                        await asyncio.sleep(REPORT_EVERY_S)
                        self.log.info("%s", await self.news() or f"{await state.describe(emr)}, {time.time() - self.since:.0f} s")
            except Exception as error:
                self.log.warning("Cannot report progress: %s", error)
                await asyncio.sleep(REPORT_EVERY_S)

    async def news(self) -> str:
        """Return what is new since the last call, beside the cluster's state; '' for nothing."""
        return ""


class StageTrigger(ReportingTrigger, EmrAddStepsTrigger):
    """Wait for a stage's step, and log the progress that the stage writes to the bucket.

    Parameters
    ----------
    bucket, region
        The project's bucket.
    progress_key
        `layout.progress` of the stage.
    """

    def __init__(self, *, bucket: str, region: str, progress_key: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.serialized_fields |= {"bucket": bucket, "region": region, "progress_key": progress_key}
        self._bucket_name = bucket
        self._region = region
        self._progress_key = progress_key
        self._bucket: Bucket | None = None
        self._last = b""

    @classmethod
    def of(cls, trigger: EmrAddStepsTrigger, *, since: float, bucket: str, region: str, progress_key: str) -> Self:
        """Return a trigger that waits for what `trigger` waits for."""
        return cls(bucket=bucket, region=region, progress_key=progress_key, since=since, **trigger.serialize()[1])

    async def on_kill(self) -> None:
        """Cancel the step if the task is over, such as marked as failed or deleted.

        Airflow repeats its cancellation of the trigger, and with it of this method, about every second: none of them ends the
        cancellation of the step, which has a limit of its own.
        """
        cancelling = asyncio.ensure_future(asyncio.wait_for(self._cancel_step(), ON_KILL_LIMIT_S))
        while not cancelling.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(cancelling)
        cancelling.result()

    async def _cancel_step(self) -> None:
        """Cancel the step if the task is over.

        The step of a task that was cleared is left for its next try, which waits for it. The state also tells a triggerer that
        has stalled, and believes the task is gone, that it is not.
        """
        ti: Any = self.task_instance
        states = await sync_to_async(RuntimeTaskInstance.get_task_states, thread_sensitive=False)(
            dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id]
        )
        state = states[ti.run_id][ti.task_id] if ti.run_id in states else "removed"
        if state not in State.finished:
            self.log.info("The task is %s: its step goes on", state or "cleared")
            return
        self.log.info("The task is %s: cancelling its step", state)
        async with await self.hook().get_async_conn() as emr:
            answer = await emr.cancel_steps(**self.waiter_args)
        self.log.info("%s", answer.get("CancelStepsInfoList"))

    async def news(self) -> str:
        """Return the stage's progress if it has changed."""
        # Not asyncio.to_thread: the thread requests the connection from Airflow, and asgiref does so by the triggerer's own event
        # loop. Requests of two loops at once end the triggerer of Airflow 3.0 (docs/decisions/0032).
        return await sync_to_async(self._read, thread_sensitive=False)()

    def _read(self) -> str:
        try:
            if self._bucket is None:
                self._bucket = Bucket.of(self._bucket_name, region=self._region, aws_conn_id=self.aws_conn_id)
            content = self._bucket.read(self._progress_key)
        except FileNotFoundError:
            content = b""
        except Exception as error:  # progress is for people to read: the wait goes on without it
            return f"the stage's progress cannot be read: {error}"
        is_new = content != self._last
        self._last = content
        if not is_new or not content:
            return ""
        try:
            return Progress.from_json(content).summary()
        except (ValueError, TypeError) as error:  # written by another version of the stages
            return f"the stage's progress cannot be understood: {error}"


class TerminationTrigger(ReportingTrigger, EmrTerminateJobFlowTrigger):
    """Wait until a cluster is terminated, and log its state."""

    @classmethod
    def of(cls, trigger: EmrTerminateJobFlowTrigger) -> Self:
        """Return a trigger that waits for what `trigger` waits for."""
        return cls(since=time.time(), **trigger.serialize()[1])


class ClusterState:
    """The state of a cluster, requested no more often than the provider polls: EMR limits requests per account."""

    def __init__(self, cluster: str, *, every_s: float) -> None:
        self._cluster = cluster
        self._every_s = every_s
        self._requested_at: float | None = None
        self._text = ""

    async def describe(self, emr: Any) -> str:
        """Return the state in words; `emr` is an aiobotocore client."""
        now = time.monotonic()
        if self._requested_at is None or now - self._requested_at >= self._every_s:
            self._requested_at = now
            try:
                response = await emr.describe_cluster(ClusterId=self._cluster)
            except (BotoCoreError, ClientError) as error:
                self._text = f"cluster {self._cluster}: {error}"
            else:
                self._text = f"cluster {self._cluster} is {response['Cluster']['Status']['State']}"
        return self._text
