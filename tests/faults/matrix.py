"""A row of the fault matrix: break the running system during a run, let it end, run the drop again if need be, and look."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass

import httpx

from fruits_contract import layout
from local.stack.supervision import Supervisor
from local.waiting import wait_until
from tests.e2e.embedded_stack import DAG, Ended, Stack
from tests.faults.fault_proxy import FaultProxy
from tests.faults.outcome import Outcome, Published, command_line, steps

TASK_LIMIT_S = 300
OVER = ("success", "failed", "skipped", "upstream_failed")


@dataclass(frozen=True)
class Row:
    """One row: what was broken, how the run ended, what it took to recover, and the outcome."""

    fault: str
    run_ended: str
    recovered_by: str
    seconds: float
    outcome: Outcome


@dataclass(frozen=True)
class FaultyStack:
    """The running services and the proxies in front of S3 and EMR."""

    stack: Stack
    s3: FaultProxy
    emr: FaultProxy

    def trigger(self, drop: str, **params: object) -> str:
        return self.stack.api.trigger(DAG, {"drop": drop, **params})

    def task_states(self, dag_run_id: str) -> dict[str, str]:
        run = self.stack.api.dag_run(DAG, dag_run_id, order=self.stack.api.task_order(DAG))
        return {task.task: task.state for task in run.tasks}

    def wait_for(self, dag_run_id: str, task: str, *states: str) -> None:
        """Wait until a task is in one of the states."""
        assert wait_until(lambda: self.task_states(dag_run_id)[task] in states, timeout_s=TASK_LIMIT_S, every_s=0.3), (
            f"{task} is never {states}: {self.task_states(dag_run_id)}"
        )

    def wait_for_api(self) -> None:
        """Wait until Airflow's API answers (again)."""

        def answers() -> bool:
            with suppress(httpx.TransportError):
                return bool(self.stack.api.task_order(DAG))
            return False

        assert wait_until(answers, timeout_s=TASK_LIMIT_S, every_s=0.5)

    def wait_for_step(self, dag_run_id: str, task: str) -> None:
        """Wait until the step of a stage runs in Spark."""
        self.wait_for(dag_run_id, task, "deferred")
        assert wait_until(lambda: any(f"{task}.py" in command_line(each) for each in steps(self.stack)), timeout_s=60)

    def cluster_of(self, dag_run_id: str) -> str:
        name = f"fruits {layout.run_name(dag_run_id)}"
        (cluster,) = (each for each in self.stack.clusters() if each["Name"] == name)
        return str(cluster["Id"])

    def pid(self, program: str) -> int:
        """Return the process id of a supervised program."""
        return int(Supervisor(self.stack.services).programs()[program]["pid"])

    def survive(
        self,
        fault: str,
        drop: str,
        breaking: Callable[[str], None],
        *,
        during: AbstractContextManager[None] | None = None,
        params: dict[str, object] | None = None,
        must_succeed: bool = False,
    ) -> Row:
        """Trigger a run of the drop, break something, wait for its end, and run the drop again if the run is red.

        Parameters
        ----------
        breaking
            Called with the id of the run; returns when the damage is done, or repaired again.
        during
            A fault for the whole of the first run.
        must_succeed
            The run must survive by itself.
        """
        before, began = Published.of(self.stack), time.monotonic()
        with during or nullcontext():
            dag_run_id = self.trigger(drop, **(params or {}))
            breaking(dag_run_id)
            self.wait_for_api()
            ended = self.stack.wait(DAG, dag_run_id)
        return self.judge(fault, ended, drop, before=before, began=began, must_succeed=must_succeed)

    def judge(self, fault: str, ended: Ended, *drops: str, before: Published, began: float, must_succeed: bool = False) -> Row:
        """Return the row after a run has ended; a red one is followed by new runs of the drops, which must succeed."""
        recovered_by = "the run itself"
        if ended.state != "success":
            assert not must_succeed, f"{fault}: the run ended as {ended.state}: {ended.tasks}"
            recovered_by = "a new run"
            for drop in drops:
                again = self.stack.run(drop)
                assert again.state == "success", f"{fault}: {again.tasks}"
        outcome = Outcome.of(self.stack, *drops, before=before)
        return Row(fault, ended.state, recovered_by, round(time.monotonic() - began), outcome)
