"""A person acts on a deferred stage: its step is cancelled, or left to the next try."""

import asyncio
import contextlib
import time
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from airflow.providers.amazon.aws.triggers.emr import EmrAddStepsTrigger

from fruits_airflow.emr import triggers
from fruits_airflow.emr.triggers import StageTrigger
from fruits_contract import layout
from tests.local.emr.emr_client import Service, bash, poll

KEY = layout.progress("r1", "featurize")


async def killed(trigger: StageTrigger) -> None:
    """Call on_kill as Airflow does, and cancel it like Airflow, which repeats its cancellation while on_kill is at work."""
    killing = asyncio.ensure_future(trigger.on_kill())
    await asyncio.sleep(0.05)
    killing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await killing


def kill(service: Service, monkeypatch: pytest.MonkeyPatch, states: dict[str, Any]) -> str:
    """Call on_kill of a trigger whose step is running, with the states that Airflow reports; return the step's state."""
    cluster = service.run(Steps=[bash("featurize", "sleep 600")])
    poll(lambda: service.step_states(cluster), lambda found: found == ["RUNNING"], limit_s=30)
    (step,) = service.emr.list_steps(ClusterId=cluster)["Steps"]
    provided = EmrAddStepsTrigger(cluster, [step["Id"]], 30, 20, aws_conn_id=None, region_name="eu-north-1")
    trigger = StageTrigger.of(provided, since=time.time(), bucket="photos", region="eu-north-1", progress_key=KEY)
    task: Any = SimpleNamespace(dag_id="fruits_features", run_id="r1", task_id="featurize", task=None)
    trigger.task_instance = task
    answer = Mock(side_effect=lambda **_: time.sleep(0.2) or states)
    monkeypatch.setattr(triggers.RuntimeTaskInstance, "get_task_states", answer)
    asyncio.run(killed(trigger))
    answer.assert_called_once_with(dag_id="fruits_features", task_ids=["featurize"], run_ids=["r1"])
    (state,) = service.step_states(cluster)
    return state


@pytest.mark.parametrize("states", [{"r1": {"featurize": state}} for state in ("failed", "success", "skipped")] + [{}])
def test_a_task_that_is_over_cancels_its_step(
    emulated_account: Service, monkeypatch: pytest.MonkeyPatch, states: dict[str, Any]
) -> None:
    assert kill(emulated_account, monkeypatch, states) in ("CANCEL_PENDING", "CANCELLED")


@pytest.mark.parametrize("state", [None, "scheduled", "queued", "running", "deferred"])
def test_a_task_that_was_cleared_leaves_its_step_to_the_next_try(
    emulated_account: Service, monkeypatch: pytest.MonkeyPatch, state: str | None
) -> None:
    assert kill(emulated_account, monkeypatch, {"r1": {"featurize": state}}) == "RUNNING"
