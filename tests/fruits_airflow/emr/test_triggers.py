"""A deferred task logs how far its stage is, or at least what its cluster does, and ends as the provider's does."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import boto3
import pytest
from airflow.providers.amazon.aws.triggers.base import AwsBaseWaiterTrigger
from airflow.providers.amazon.aws.triggers.emr import EmrAddStepsTrigger, EmrTerminateJobFlowTrigger
from airflow.triggers.base import TriggerEvent
from asgiref.sync import async_to_sync
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client

from fruits_airflow.bucket import Bucket
from fruits_airflow.emr import triggers
from fruits_airflow.emr.triggers import ClusterState, StageTrigger, TerminationTrigger
from fruits_contract import layout
from fruits_contract.progress import Progress

KEY = layout.progress("r1", "featurize")
LIMIT_S = 30
EVENT = TriggerEvent({"status": "success", "value": ["s-1"]})


def stage_trigger(bucket: str = "photos") -> StageTrigger:
    provided = EmrAddStepsTrigger("j-1", ["s-1"], 30, 20, aws_conn_id="aws", region_name="eu-north-1")
    return StageTrigger.of(provided, since=time.time(), bucket=bucket, region="eu-north-1", progress_key=KEY)


class Emr:
    """EMR's client, of a cluster that starts."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    async def describe_cluster(self, *, ClusterId: str) -> Any:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return {"Cluster": {"Id": ClusterId, "Status": {"State": answer}}}

    async def get_async_conn(self) -> Any:
        @asynccontextmanager
        async def connection() -> AsyncIterator[Emr]:
            yield self

        return connection()


class Log:
    """Collects the lines of a task's log, and lets the provider's wait end once one has been seen."""

    def __init__(self, until: str) -> None:
        self.until = until
        self.lines: list[str] = []
        self.is_seen = asyncio.Event()

    def warning(self, form: str, *values: Any) -> None:
        self.lines.append(form % values)

    def info(self, form: str, *values: Any) -> None:
        self.lines.append(form % values)
        if self.until in self.lines[-1]:
            self.is_seen.set()


def run(trigger: Any, monkeypatch: pytest.MonkeyPatch, *, until: str, emr: Emr) -> tuple[list[TriggerEvent], list[str]]:
    """Run a trigger until its log has the line; return its events and its log."""

    async def wait() -> tuple[list[TriggerEvent], list[str]]:
        log = Log(until)

        async def provided(self: Any) -> AsyncIterator[TriggerEvent]:
            await asyncio.wait_for(log.is_seen.wait(), LIMIT_S)
            yield EVENT

        monkeypatch.setattr(AwsBaseWaiterTrigger, "run", provided)
        monkeypatch.setattr(triggers, "REPORT_EVERY_S", 0.01)
        monkeypatch.setattr(type(trigger), "log", log)
        monkeypatch.setattr(type(trigger), "hook", lambda self: emr)
        events = [event async for event in trigger.run()]
        await asyncio.sleep(0.1)
        assert len(asyncio.all_tasks()) == 1, "the report ends with the wait"
        return events, log.lines

    return asyncio.run(wait())


def progress(done: int) -> bytes:
    return Progress(what="featurizing", done=done, total=4320, unit="photos", seconds=5, per_second=216).to_json().encode()


def test_a_stage_trigger_survives_the_database() -> None:
    trigger = stage_trigger()
    path, fields = trigger.serialize()
    assert path == "fruits_airflow.emr.triggers.StageTrigger"
    again = StageTrigger(**fields)
    assert again.serialize() == (path, fields)
    assert (again.since, again.waiter_delay, again.attempts) == (trigger.since, 30, 20)
    assert {"bucket", "region", "progress_key", "job_flow_id", "step_ids", "aws_conn_id", "region_name"} <= set(fields)


def test_a_termination_trigger_survives_the_database() -> None:
    path, fields = TerminationTrigger.of(EmrTerminateJobFlowTrigger("j-1", waiter_delay=15)).serialize()
    assert TerminationTrigger(**fields).serialize() == (path, fields)


def test_the_progress_of_the_stage_is_logged_while_it_runs(connection: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    class WritesProgress(Emr):
        async def describe_cluster(self, *, ClusterId: str) -> Any:
            connection.write(KEY, progress(1080))
            return await super().describe_cluster(ClusterId=ClusterId)

    events, lines = run(stage_trigger(), monkeypatch, until="1,080 of 4,320", emr=WritesProgress("RUNNING"))
    assert events == [EVENT]
    assert lines[0].startswith("cluster j-1 is RUNNING, ")
    assert lines[1] == "featurizing: 1,080 of 4,320 photos in 5 s, 216 photos/s, about 15 s left"


def test_what_an_earlier_attempt_left_is_not_logged(connection: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.write(KEY, progress(4000))
    _, lines = run(stage_trigger(), monkeypatch, until="BOOTSTRAPPING", emr=Emr("BOOTSTRAPPING"))
    assert not any("4,000" in line for line in lines)


def test_what_came_last_is_logged_although_the_step_has_ended(connection: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    trigger = stage_trigger()

    async def provided(self: Any) -> AsyncIterator[TriggerEvent]:
        connection.write(KEY, progress(4320))
        yield EVENT

    log = Log("nothing")
    monkeypatch.setattr(AwsBaseWaiterTrigger, "run", provided)
    monkeypatch.setattr(StageTrigger, "log", log)
    monkeypatch.setattr(StageTrigger, "hook", lambda self: Emr("RUNNING"))

    async def wait() -> list[TriggerEvent]:
        return [event async for event in trigger.run()]

    assert asyncio.run(wait()) == [EVENT]
    assert log.lines == ["featurizing: 4,320 of 4,320 photos in 5 s, 216 photos/s"]


@pytest.mark.parametrize("content", [b"no JSON", b'{"of": "another version"}'])
def test_a_progress_of_another_version_is_said_and_changes_nothing(connection: Bucket, content: bytes) -> None:
    connection.write(KEY, content)
    assert "cannot be understood" in asyncio.run(stage_trigger().news())


def test_a_bucket_that_cannot_be_read_is_said_and_changes_nothing(
    connection: Bucket, s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = boto3.Session(aws_access_key_id="another", aws_secret_access_key="key")
    monkeypatch.setattr(Bucket, "of", classmethod(lambda cls, *_, **__: Bucket(connection.name, session=refused, client=s3)))
    assert "cannot be read: " in asyncio.run(stage_trigger().news())


def test_a_cluster_that_terminates_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    trigger = TerminationTrigger.of(EmrTerminateJobFlowTrigger("j-1", waiter_delay=15))
    events, lines = run(trigger, monkeypatch, until="TERMINATING", emr=Emr("TERMINATING"))
    assert events == [EVENT]
    assert lines[-1].startswith("cluster j-1 is TERMINATING, ")


def test_the_cluster_is_asked_no_more_often_than_the_provider_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    emr = Emr("STARTING", "BOOTSTRAPPING", ClientError({"Error": {"Code": "ThrottlingException"}}, "DescribeCluster"))
    state = ClusterState("j-1", every_s=30)
    described = []
    for now in (100.0, 104.0, 129.0, 130.0, 160.0):
        monkeypatch.setattr(triggers.time, "monotonic", lambda now=now: now)
        described.append(asyncio.run(state.describe(emr)))
    assert described[:4] == [*["cluster j-1 is STARTING"] * 3, "cluster j-1 is BOOTSTRAPPING"]
    assert "ThrottlingException" in described[4]


def test_a_bucket_that_refuses_does_not_end_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Bucket:
        raise PermissionError("no credentials")

    monkeypatch.setattr(Bucket, "of", refuse)
    events, lines = run(stage_trigger(), monkeypatch, until="cannot be read: no credentials", emr=Emr("RUNNING"))
    assert events == [EVENT]
    assert lines


def test_airflow_is_asked_for_the_connection_by_the_triggerers_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    requested_by = []
    # as Airflow requests a connection in a thread
    monkeypatch.setattr(Bucket, "of", classmethod(lambda cls, *_, **__: requested_by.append(async_to_sync(loop)())))

    async def read() -> asyncio.AbstractEventLoop:
        await stage_trigger().news()
        return await loop()

    assert [asyncio.run(read())] == requested_by


def test_a_request_for_a_connection_is_not_cancelled_with_the_report(monkeypatch: pytest.MonkeyPatch, connection: Bucket) -> None:
    answered = []

    class Slow(Emr):
        async def get_async_conn(self) -> Any:
            StageTrigger.log.info("requested")
            await asyncio.sleep(0.05)
            answered.append(True)
            return await super().get_async_conn()

    run(stage_trigger(), monkeypatch, until="requested", emr=Slow("RUNNING"))
    assert answered == [True]


def test_a_report_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch, connection: Bucket) -> None:
    class Refusing(Emr):
        async def get_async_conn(self) -> Any:
            if self.answers == ["RUNNING"]:
                self.answers = ["STARTING"]
                raise RuntimeError("no session")
            return await super().get_async_conn()

    events, lines = run(stage_trigger(), monkeypatch, until="is STARTING", emr=Refusing("RUNNING"))
    assert events == [EVENT]
    assert "Cannot report progress: no session" in lines
