"""Runs that somebody marks as failed or clears while a stage is running, and what housekeeping does meanwhile."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from fruits_airflow.erasure.requests import write_request
from fruits_contract import layout
from fruits_contract.features_pipeline import FEATURES_PIPELINE
from tests.e2e.embedded_stack import DAG, HOUSEKEEPING

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

ERASED = "20261120-" + "0" * 32  # id of a contribution


@pytest.fixture(scope="module")
def aborted(stack, first):
    """A run that was marked as failed while a stage was running."""
    before = stack.published()
    stack.change_release("slow", "fit_pca", first_lines="import time\n    time.sleep(600)")
    dag_run_id = stack.api.trigger(DAG, {"drop": "first", "mode": "fit", "release": "slow"})
    stack.wait_for_task(dag_run_id, "fit_pca", "deferred")
    stack.wait_for_log(dag_run_id, "fit_pca", "RUNNING")  # by the trigger, which has to be there to be killed
    stack.api.request("PATCH", f"/dags/{DAG}/dagRuns/{dag_run_id}", {"state": "failed"})
    ended = stack.wait(DAG, dag_run_id)
    assert stack.published() == before
    return ended


def test_a_run_marked_as_failed_ends_as_failed_without_cluster_and_publication(stack, aborted):
    assert aborted.state == "failed"
    assert aborted.tasks["publish"] == "skipped"
    assert aborted.tasks["fail_if_aborted"] == "failed"
    cluster = stack.cluster_of(aborted)
    assert cluster["Status"]["State"] == "TERMINATED"
    assert stack.emr.list_steps(ClusterId=cluster["Id"])["Steps"][0]["Status"]["State"] == "CANCELLED"


def test_the_step_of_a_task_that_was_marked_as_failed_is_cancelled_at_once(aborted):
    assert "The task is failed: cancelling its step" in aborted.log("fit_pca"), "not only with the cluster"


@pytest.fixture(scope="module")
def cleared(stack, first, tmp_path_factory):
    """A refit whose `fit_pca` was cleared, as in the UI, while it was deferred; housekeeping runs meanwhile."""
    gate = tmp_path_factory.mktemp("gate") / "open"
    wait = f"import os, time\n    while not os.path.exists({str(gate)!r}): time.sleep(0.1)"
    stack.change_release("gated", "fit_pca", first_lines=wait)
    dag_run_id = stack.api.trigger(DAG, {"drop": "first", "mode": "fit", "variance": 0.5, "release": "gated"})
    try:
        stack.wait_for_task(dag_run_id, "fit_pca", "deferred")
        stack.clear(dag_run_id, "fit_pca")
        stack.wait_for_task(dag_run_id, "create_cluster", "success")
        stack.wait_for_task(dag_run_id, "fit_pca", "deferred")
        write_request(stack.table(layout.FEATURES_TABLE).bucket, contribution=ERASED, now=datetime.now(UTC))
        stack.pause(HOUSEKEEPING, is_paused=False)
        housekeeping = stack.wait(HOUSEKEEPING, stack.next_run(HOUSEKEEPING))
        stack.pause(HOUSEKEEPING, is_paused=True)
    finally:
        gate.touch()
    return stack.wait(DAG, dag_run_id), housekeeping


def test_a_cleared_stage_waits_for_its_step_on_its_cluster(stack, cleared):
    refit, _ = cleared
    assert refit.state == "success"
    assert "The run has a cluster already" in refit.log("create_cluster")
    assert "already: waiting for it" in refit.log("fit_pca")
    steps = stack.emr.list_steps(ClusterId=stack.cluster_of(refit)["Id"])["Steps"][::-1]
    assert [step["Name"] for step in steps] == [stage.name for stage in FEATURES_PIPELINE.stages]


def test_housekeeping_leaves_the_cluster_of_a_running_run_alone(cleared):
    _, housekeeping = cleared
    assert housekeeping.state == "success"
    assert "is in use" in housekeeping.log("terminate_orphaned_clusters")


def test_an_erasure_waits_for_a_running_run_and_is_not_lost(stack, cleared):
    refit, housekeeping = cleared
    assert housekeeping.tasks["erase_contributions"] == "skipped"
    assert f"Run {refit.dag_run.id} of {DAG} is under way" in housekeeping.log("erase_contributions")
    assert layout.erasure_request(ERASED) in stack.keys(layout.ERASURE_REQUESTS)
    assert housekeeping.tasks["enforce_retention"] == "success"
    assert layout.RETENTION in stack.keys(layout.RETENTION)


def test_a_refit_projects_all_retained_photos_anew(stack, cleared):
    photos = stack.table(layout.FEATURES_TABLE).rows("path").num_rows
    refit, _ = cleared
    assert refit.tasks["fit_pca"] == "success"
    projected = stack.table(layout.PROJECTED_TABLE).rows("path", "projected", pca=refit.run)
    assert projected.num_rows == photos
    assert pa.compute.unique(pa.compute.list_value_length(projected["projected"])).to_pylist() == [
        refit.manifest("fit_pca")["figures"]["k"]
    ]
    assert refit.run.encode() in stack.read(layout.CURRENT_MODELS)
