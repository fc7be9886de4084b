"""What a run needs of Airflow's REST API, in the project's own words.

It must not know where Airflow runs or what is done with the answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

RUNNING = frozenset({"running", "deferred"})
_ACTIVE = RUNNING | {"scheduled", "queued", "up_for_retry", "up_for_reschedule"}
_TEARDOWN_RULE = "all_done_setup_success"


class AirflowRefused(Exception):
    """Airflow answered a request with an error; the message is Airflow's own."""


@dataclass(frozen=True)
class TaskRun:
    """One task of a run; `seconds` counts from its start until its end or now."""

    task: str
    state: str
    seconds: float
    try_number: int


@dataclass(frozen=True)
class DagRun:
    """A run as it stands, its tasks in the order in which they follow each other."""

    dag: str
    id: str
    state: str
    seconds: float
    tasks: tuple[TaskRun, ...]

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ("success", "failed")


class AirflowApi:
    """A session with one Airflow, logged in at the first request."""

    def __init__(self, url: str, *, user: str, password: str) -> None:
        self._login = {"username": user, "password": password}
        # trust_env off: a proxy of the user's must not get between two programs of one machine.
        self._http = httpx.Client(base_url=url, timeout=30, trust_env=False)

    def write_variable(self, key: str, value: str) -> None:
        """Set a Variable, whether it is there or not."""
        body = {"key": key, "value": value}
        if self._ask("PATCH", f"/variables/{key}", body, none_on=404) is None:
            self._ask("POST", "/variables", body)

    def has_dag(self, dag: str) -> bool:
        """Say whether the DAG has been parsed and is not left over from a file that is gone."""
        found = self._ask("GET", f"/dags/{dag}", none_on=404)
        return found is not None and not found["is_stale"]

    def import_errors(self) -> dict[str, str]:
        """Return the traceback of every DAG file that cannot be imported, by file name."""
        answer = self._ask("GET", "/importErrors")
        return {error["filename"]: error["stack_trace"] for error in answer["import_errors"]}

    def unpause(self, dag: str) -> None:
        """Let the DAG's runs be scheduled."""
        self._ask("PATCH", f"/dags/{dag}", {"is_paused": False})

    def trigger(self, dag: str, conf: Mapping[str, object]) -> str:
        """Start a run and return its id; raise `AirflowRefused` for parameters that the DAG does not take."""
        return str(self._ask("POST", f"/dags/{dag}/dagRuns", {"logical_date": None, "conf": dict(conf)})["dag_run_id"])

    def end_run(self, dag: str, run: str) -> None:
        """Fail what is going on in the run; its teardowns still happen.

        Not the run itself: Airflow 3.3 then skips what has not begun, and calls the run a success after the teardown.
        """
        place = f"/dags/{dag}/dagRuns/{run}"
        rules = {task["task_id"]: task["trigger_rule"] for task in self._ask("GET", f"/dags/{dag}/tasks")["tasks"]}
        for item in self._ask("GET", f"{place}/taskInstances?limit=100")["task_instances"]:
            if item["state"] in _ACTIVE and rules.get(item["task_id"]) != _TEARDOWN_RULE:
                self._ask("PATCH", f"{place}/taskInstances/{item['task_id']}", {"new_state": "failed"})

    def task_order(self, dag: str) -> list[str]:
        """Return the DAG's tasks, each after those it waits for."""
        tasks = {task["task_id"]: task["downstream_task_ids"] for task in self._ask("GET", f"/dags/{dag}/tasks")["tasks"]}
        depth = dict.fromkeys(tasks, 0)
        for _ in tasks:
            for task, following in tasks.items():
                for later in following:
                    depth[later] = max(depth[later], depth[task] + 1)
        return sorted(tasks, key=lambda task: (depth[task], task))

    def dag_run(self, dag: str, run: str, *, order: list[str]) -> DagRun:
        """Return the run as it stands."""
        answer = self._ask("GET", f"/dags/{dag}/dagRuns/{run}")
        instances = self._ask("GET", f"/dags/{dag}/dagRuns/{run}/taskInstances?limit=100")["task_instances"]
        instances.sort(key=lambda item: order.index(item["task_id"]) if item["task_id"] in order else len(order))
        tasks = tuple(
            TaskRun(item["task_id"], item["state"] or "waiting", _seconds(item), item["try_number"]) for item in instances
        )
        return DagRun(dag, run, answer["state"], _seconds(answer), tasks)

    def log(self, run: DagRun, task: TaskRun) -> list[str]:
        """Return the lines of a task's last try; none before it has started."""
        place = f"/dags/{run.dag}/dagRuns/{run.id}/taskInstances/{task.task}/logs/{max(1, task.try_number)}"
        answer = self._ask("GET", f"{place}?full_content=true", none_on=404)
        return [line for entry in answer["content"] for line in _log_lines(entry)] if answer else []

    def _ask(self, method: str, path: str, body: object = None, *, none_on: int = 0) -> Any:
        if "Authorization" not in self._http.headers:
            answer = self._http.post("/auth/token", json=self._login)
            _check(answer)
            self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        answer = self._http.request(method, f"/api/v2{path}", json=body)
        if answer.status_code == none_on:
            return None
        _check(answer)
        return answer.json()


def _check(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answer.text[:2000]
    if isinstance(detail, list):
        detail = "; ".join(f"{'.'.join(map(str, item.get('loc', [])))}: {item.get('msg')}" for item in detail)
    request = answer.request
    raise AirflowRefused(f"Airflow answered {answer.status_code} to {request.method} {request.url.path}: {detail}")


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
