"""A run that a person marks as failed ends as failed: the real DAG, with Airflow's own scheduling code on a database."""

from collections.abc import Collection, Iterator
from typing import Any, Never
from unittest.mock import Mock
from uuid import uuid4

import pytest
from airflow.api.common.mark_tasks import set_dag_run_state_to_failed
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
from airflow.models.dagrun import DagRun
from airflow.models.serialized_dag import SerializedDagModel
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.sdk import Context, timezone
from airflow.sdk.api.datamodels._generated import TaskInstance as TaskInstanceDTO
from airflow.sdk.execution_time.supervisor import run_task_in_process
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy.orm import Session

from fruits_airflow.aborts import check_not_aborted
from release import contents

EARLY = ["wait_for_drop", "plan_batch"]
WITHOUT_A_CLUSTER = {"record_cost": TaskInstanceState.SKIPPED}


@pytest.fixture(scope="module")
def dag() -> Any:
    """The DAG, as a scheduler has it in its database."""
    initdb()
    folder = contents.ROOT / "dags"
    bag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder")
    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(bag, "dags-folder", None)
    return bag.dags["fruits_features"]


class Run:
    """One run of the DAG; its tasks succeed unless a test decides otherwise."""

    def __init__(self, dag: Any, session: Session) -> None:
        self.dag = dag
        self.session = session
        self.scheduled = SerializedDagModel.get_dag(dag.dag_id, session=session)
        self.dag_run: DagRun = self.scheduled.create_dagrun(
            run_id=str(uuid4()),
            run_after=timezone.utcnow(),
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TEST,
            state=DagRunState.RUNNING,
            start_date=timezone.utcnow(),
            session=session,
        )

    def advance(
        self, *, until: str = "", outcomes: dict[str, TaskInstanceState] | None = None, waiting: Collection[str] = ()
    ) -> None:
        """Schedule and end tasks until `until` is next, or else until the run has ended; `fail_if_aborted` really runs.

        The tasks `waiting` are scheduled and not started, as where another run holds the only slot.
        """
        while self.dag_run.state == DagRunState.RUNNING:
            ready, _ = self.dag_run.update_state(session=self.session)
            for ti in ready:
                if ti.task_id in waiting:
                    ti.set_state(TaskInstanceState.SCHEDULED, session=self.session)
                    continue
                if ti.task_id == until:
                    return
                if ti.task_id == "fail_if_aborted":
                    self.execute(ti.task_id)
                else:
                    ti.set_state((outcomes or {}).get(ti.task_id, TaskInstanceState.SUCCESS), session=self.session)

    def execute(self, task_id: str) -> None:
        """Run a task in this process, against Airflow's execution API on the same database."""
        ti = self.dag_run.get_task_instance(task_id, session=self.session)
        assert ti
        ti.try_number = ti.max_tries + 1
        ti.set_state(TaskInstanceState.QUEUED, session=self.session)
        self.session.commit()
        fields = {name: getattr(ti, name) for name in TaskInstanceDTO.model_fields if hasattr(ti, name)}
        result = run_task_in_process(TaskInstanceDTO(**fields), self.dag.get_task(task_id))
        self.session.expire_all()
        ti.set_state(result.ti.state, session=self.session)

    def mark_as_failed(self, *, during: str = "") -> None:
        """Do what the UI does; a task that is going on is deferred."""
        if during:
            self.set_state(during, TaskInstanceState.DEFERRED)
        set_dag_run_state_to_failed(dag=self.scheduled, run_id=self.dag_run.run_id, commit=True, session=self.session)
        assert self.dag_run.state == DagRunState.RUNNING, "the teardowns come first"

    def set_state(self, task_id: str, state: TaskInstanceState) -> None:
        ti = self.dag_run.get_task_instance(task_id, session=self.session)
        assert ti
        ti.set_state(state, session=self.session)

    def states(self, *task_ids: str) -> list[str | None]:
        by_name = {ti.task_id: ti.state for ti in self.dag_run.get_task_instances(session=self.session)}
        return [by_name[task_id] for task_id in task_ids]


@pytest.fixture
def run(dag: Any) -> Iterator[Run]:
    with create_session() as session:
        yield Run(dag, session)


def test_a_run_marked_as_failed_while_a_stage_is_deferred_ends_as_failed(run: Run) -> None:
    run.advance(until="fit_pca")
    run.mark_as_failed(during="fit_pca")
    run.advance()
    assert run.states("fit_pca", "publish", "terminate_cluster") == ["failed", "skipped", "success"]
    assert run.states("fail_if_aborted") == ["failed"]
    assert run.dag_run.state == DagRunState.FAILED


@pytest.mark.parametrize("following", ["wait_for_drop", "plan_batch", "create_cluster", "fit_pca", "publish"])
def test_a_run_marked_as_failed_between_two_tasks_ends_as_failed(run: Run, following: str) -> None:
    run.advance(until=following)
    run.mark_as_failed()
    run.advance()
    assert run.dag_run.state == DagRunState.FAILED


@pytest.mark.parametrize("during", ["terminate_cluster", "record_cost"])
def test_a_run_marked_as_failed_while_publish_waits_and_a_teardown_is_going_on_ends_as_failed(run: Run, during: str) -> None:
    run.advance(until=during, waiting=["publish"])
    run.set_state(during, TaskInstanceState.RUNNING)
    run.mark_as_failed()
    run.set_state(during, TaskInstanceState.SUCCESS)
    run.advance()
    assert run.states("publish", "record_cost", "fail_if_aborted") == ["skipped", "success", "failed"]
    assert run.dag_run.state == DagRunState.FAILED


def test_a_run_marked_as_failed_while_it_waits_for_its_drop_ends_as_failed(run: Run) -> None:
    run.mark_as_failed(during="wait_for_drop")
    run.advance(outcomes=WITHOUT_A_CLUSTER)
    assert run.states("create_cluster", "terminate_cluster") == ["skipped", "skipped"]
    assert run.dag_run.state == DagRunState.FAILED


@pytest.mark.parametrize("task_id", EARLY)
def test_a_run_that_a_task_ends_by_skipping_is_a_success(run: Run, task_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_to_do(context: Context) -> Never:
        raise AirflowSkipException("nothing to do")

    run.advance(until=task_id)
    monkeypatch.setattr(run.dag.get_task(task_id), "execute", nothing_to_do)
    run.execute(task_id)
    run.advance(outcomes=WITHOUT_A_CLUSTER)
    assert run.states(task_id, "publish", "fail_if_aborted") == ["skipped", "skipped", "success"]
    assert run.dag_run.state == DagRunState.SUCCESS


def test_a_skip_that_was_overruled_by_hand_does_not_hide_an_abort(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_to_do(context: Context) -> Never:
        raise AirflowSkipException("nothing to do")

    run.advance(until="wait_for_drop")
    monkeypatch.setattr(run.dag.get_task("wait_for_drop"), "execute", nothing_to_do)
    run.execute("wait_for_drop")
    run.set_state("wait_for_drop", TaskInstanceState.SUCCESS)
    run.advance(until="fit_pca")
    run.mark_as_failed(during="fit_pca")
    run.advance()
    assert run.dag_run.state == DagRunState.FAILED


@pytest.mark.parametrize("failed", ["plan_batch", "featurize", "publish"])
def test_a_failed_task_is_reported_once(run: Run, failed: str) -> None:
    run.advance(outcomes={failed: TaskInstanceState.FAILED})
    assert run.states(failed, "fail_if_aborted") == ["failed", "success"]
    assert run.dag_run.state == DagRunState.FAILED


@pytest.mark.parametrize("teardown", ["terminate_cluster", "record_cost"])
def test_a_failed_teardown_does_not_fail_a_run_that_published(run: Run, teardown: str) -> None:
    run.advance(outcomes={teardown: TaskInstanceState.FAILED})
    assert run.states("publish", "fail_if_aborted") == ["success", "success"]
    assert run.dag_run.state == DagRunState.SUCCESS


@pytest.mark.parametrize("result", ["publish", "promote"])
def test_the_message_is_right_for_both_dags(result: str) -> None:
    ti = Mock(dag_id="dag", run_id="r1")
    ti.get_task_states.return_value = {"r1": {result: "skipped", "plan": "success"}}
    context: Any = {"ti": ti}
    message = f"{result} was skipped, but no task of the run chose to skip: the run was marked as failed or success by hand"
    with pytest.raises(AirflowFailException, match=rf"^{message}\. Trigger a new run$"):
        check_not_aborted(context, result=result, may_skip=["plan"])
