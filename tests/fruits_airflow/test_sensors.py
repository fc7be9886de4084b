"""The sensor waits for a drop without a worker, and a drop that does not arrive is not an error."""

from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor
from airflow.providers.amazon.aws.triggers.s3 import S3KeyTrigger
from airflow.providers.common.compat.sdk import AirflowException, AirflowSkipException, TaskDeferred

from fruits_airflow.sensors import WaitForDropSensor
from fruits_airflow.settings import Settings

CONTEXT: Any = {}
KEY = "raw/first/_READY"


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(Settings, "load", classmethod(lambda cls: settings))
    return settings


@pytest.fixture
def sensor() -> WaitForDropSensor:
    return WaitForDropSensor(task_id="wait_for_drop", bucket_key=KEY)


def test_it_is_the_providers_sensor(sensor: WaitForDropSensor) -> None:
    assert isinstance(sensor, S3KeySensor)
    assert sensor.custom_operator_name == "S3KeySensor"
    assert sensor.template_fields == S3KeySensor.template_fields


def test_a_drop_that_is_complete_is_not_waited_for(
    settings: Settings, sensor: WaitForDropSensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = Mock(return_value={"ContentLength": 0})
    monkeypatch.setattr(S3Hook, "head_object", head)
    sensor.execute(CONTEXT)
    head.assert_called_once_with(KEY, "photos")


def test_an_incomplete_drop_is_waited_for_without_a_worker(
    settings: Settings, sensor: WaitForDropSensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(S3Hook, "head_object", lambda *_: None)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(CONTEXT)
    trigger = deferred.value.trigger
    assert isinstance(trigger, S3KeyTrigger)
    assert (trigger.bucket_name, trigger.bucket_key, trigger.poke_interval) == ("photos", KEY, settings.poll_s)
    assert deferred.value.timeout == timedelta(seconds=settings.wait_for_drop_s)


def test_the_wait_succeeds_with_the_drop_and_fails_with_an_error(sensor: WaitForDropSensor) -> None:
    sensor.execute_complete(CONTEXT, {"status": "success"})
    with pytest.raises(AirflowException, match="Access Denied"):
        sensor.execute_complete(CONTEXT, {"status": "error", "message": "Access Denied"})


def test_a_drop_that_does_not_arrive_in_time_skips(sensor: WaitForDropSensor) -> None:
    # What Airflow passes after the time limit of a deferral.
    with pytest.raises(AirflowSkipException, match="raw/first/_READY has not arrived"):
        sensor.resume_execution("__fail__", {"error": "Trigger timeout"}, CONTEXT)


def test_an_error_of_the_trigger_is_not_skipped(sensor: WaitForDropSensor) -> None:
    with pytest.raises(AirflowException, match="Access Denied"):
        sensor.resume_execution("execute_complete", {"event": {"status": "error", "message": "Access Denied"}}, CONTEXT)
