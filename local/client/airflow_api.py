"""The part of Airflow's REST API that a run needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from graphlib import TopologicalSorter
from typing import Any

import httpx

RUNNING = frozenset({"running", "deferred"})
_ACTIVE = RUNNING | {"scheduled", "queued", "up_for_retry", "up_for_reschedule"}
_TEARDOWN_RULE = "all_done_setup_success"


class AirflowRefused(Exception):
    """Airflow refused a request; the message is Airflow's own."""


@dataclass(frozen=True)
class TaskRun:
    """One task of a run; `seconds` counts from its start until its end or now."""

    task: str
    state: str
    seconds: float
    try_number: int


@dataclass(frozen=True)
class DagRun:
    """The present state of a run, its tasks in the order in which they follow each other."""

    dag: str
    id: str
    state: str
    seconds: float
    tasks: tuple[TaskRun, ...]

    @property
    def is_over(self) -> bool:
        """Whether the run has ended."""
        return self.state in ("success", "failed")


class AirflowApi:
    """A session with one Airflow, logged in at the first request."""

    def __init__(self, url: str, *, user: str, password: str) -> None:
        self._login = {"username": user, "password": password}
        # trust_env off: no proxy of the user's between two programs of one machine
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def write_variable(self, key: str, value: str) -> None:
        """Create or update a Variable."""
        body = {"key": key, "value": value}
        if self.request("PATCH", f"/variables/{key}", body, none_on=404) is None:
            self.request("POST", "/variables", body)

    def has_dag(self, dag: str) -> bool:
        """Return whether the DAG has been parsed and its file still exists."""
        found = self.request("GET", f"/dags/{dag}", none_on=404)
        return found is not None and not found["is_stale"]

    def import_errors(self) -> dict[str, str]:
        """Return the traceback of every DAG file that cannot be imported, by file name."""
        errors = self.request("GET", "/importErrors")["import_errors"]
        return {error["filename"]: error["stack_trace"] for error in errors}

    def set_paused(self, dag: str, *, is_paused: bool) -> None:
        """Let the DAG's runs be scheduled, or not."""
        self.request("PATCH", f"/dags/{dag}", {"is_paused": is_paused})

    def newest_asset_run(self, dag: str) -> str | None:
        """Return the id of the last run that an asset event has started; None before the first."""
        runs = self.request("GET", f"/dags/{dag}/dagRuns?run_type=asset_triggered&order_by=-run_after&limit=1")["dag_runs"]
        return str(runs[0]["dag_run_id"]) if runs else None

    def trigger(self, dag: str, conf: Mapping[str, object]) -> str:
        """Start a run and return its id; raise `AirflowRefused` for parameters that the DAG does not accept."""
        return str(self.request("POST", f"/dags/{dag}/dagRuns", {"logical_date": None, "conf": dict(conf)})["dag_run_id"])

    def end_run(self, dag: str, run: str) -> None:
        """Fail the active tasks of the run; its teardowns still happen.

        Not the run itself: Airflow 3.3 then skips tasks that have not started, and marks the run a success after the teardown.
        """
        path = f"/dags/{dag}/dagRuns/{run}"
        rules = {task["task_id"]: task["trigger_rule"] for task in self.request("GET", f"/dags/{dag}/tasks")["tasks"]}
        for item in self.request("GET", f"{path}/taskInstances?limit=100")["task_instances"]:
            if item["state"] in _ACTIVE and rules.get(item["task_id"]) != _TEARDOWN_RULE:
                self.request("PATCH", f"{path}/taskInstances/{item['task_id']}", {"new_state": "failed"})

    def task_order(self, dag: str) -> list[str]:
        """Return the DAG's tasks, each after its upstream tasks."""
        tasks = self.request("GET", f"/dags/{dag}/tasks")["tasks"]
        downstream = {task["task_id"]: sorted(task["downstream_task_ids"]) for task in tasks}
        return list(TopologicalSorter(downstream).static_order())[::-1]

    def dag_run(self, dag: str, run: str, *, order: list[str]) -> DagRun:
        """Return the present state of the run."""
        response = self.request("GET", f"/dags/{dag}/dagRuns/{run}")
        instances = self.request("GET", f"/dags/{dag}/dagRuns/{run}/taskInstances?limit=100")["task_instances"]
        instances.sort(key=lambda item: order.index(item["task_id"]) if item["task_id"] in order else len(order))
        tasks = tuple(
            TaskRun(item["task_id"], item["state"] or "waiting", _seconds(item), item["try_number"]) for item in instances
        )
        return DagRun(dag, run, response["state"], _seconds(response), tasks)

    def log(self, run: DagRun, task: TaskRun) -> list[str]:
        """Return the lines of a task's last try; none before it has started."""
        path = f"/dags/{run.dag}/dagRuns/{run.id}/taskInstances/{task.task}/logs/{max(1, task.try_number)}"
        response = self.request("GET", f"{path}?full_content=true", none_on=404)
        return [line for entry in response["content"] for line in _log_lines(entry)] if response else []

    def request(self, method: str, path: str, body: object = None, *, none_on: int = 0) -> Any:
        """Return the JSON of a response; None for the status code `none_on`, `AirflowRefused` for any other error."""
        if "Authorization" not in self._http.headers:
            response = self._http.post("/auth/token", json=self._login)
            _check(response)
            self._http.headers["Authorization"] = f"Bearer {response.json()['access_token']}"
        response = self._http.request(method, f"/api/v2{path}", json=body)
        if response.status_code == none_on:
            return None
        _check(response)
        return response.json()


def _check(response: httpx.Response) -> None:
    if response.is_success:
        return
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = response.text[:2000]
    if isinstance(detail, list):
        detail = "; ".join(f"{'.'.join(map(str, item.get('loc', [])))}: {item.get('msg')}" for item in detail)
    raise AirflowRefused(
        f"Airflow answered {response.status_code} to {response.request.method} {response.request.url.path}: {detail}"
    )


def _seconds(item: Mapping[str, Any]) -> float:
    if not item["start_date"]:
        return 0.0
    end = datetime.fromisoformat(item["end_date"]) if item["end_date"] else datetime.now(UTC)
    return max(0.0, (end - datetime.fromisoformat(item["start_date"])).total_seconds())


def _log_lines(entry: Any) -> list[str]:
    if isinstance(entry, str):
        return entry.splitlines()
    lines = str(entry.get("event", "")).splitlines()
    for error in entry.get("error_detail") or []:
        lines += f"{error.get('exc_type')}: {error.get('exc_value')}".splitlines()
    return lines
