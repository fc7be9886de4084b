"""Waiting until each service answers, and naming the log to read when one does not."""

import time
from collections.abc import Callable, Iterable

import httpx
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.console import say, working
from local.stack import StackError, airflow, yarn
from local.stack.stack import Stack
from local.stack.supervision import Supervisor
from local.waiting import wait_until

TIMEOUT_S = {"s3": 60, "resource-manager": 60, "emr": 60, "airflow": 240}
PROGRAMS = {
    "s3": ("s3",),
    "resource-manager": tuple(yarn.CLASSES),
    "emr": ("emr",),
    "airflow": tuple(airflow.PROCESSES),
}
HEALTHY_PARTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
LAST_LINES = 8


class PortTaken(StackError):
    """Another program took a port between its choice and its use; other ports will do."""


def wait(stack: Stack) -> None:
    """Return when S3 holds the bucket, YARN (where there is one) has its node, EMR answers, and Airflow is healthy."""
    checks: dict[str, Callable[[Stack], bool]] = {
        "s3": _has_bucket,
        "resource-manager": _has_node,
        "emr": lambda stack: _get(stack.url("emr")).status_code == 200,
        "airflow": _is_healthy,
    }
    for name, check in checks.items():
        if name in stack.ports:
            began = time.monotonic()
            with working(f"Starting {name}"):
                _wait_for(stack, name, check)
            say(f"{name:16} {stack.url(name)}  {time.monotonic() - began:.0f} s")


def _wait_for(stack: Stack, name: str, check: Callable[[Stack], bool]) -> None:
    supervisor = Supervisor(stack)

    def is_ready() -> bool:
        known = supervisor.programs()
        ended = [program for program in PROGRAMS[name] if known.get(program, {}).get("statename") in ("FATAL", "EXITED", None)]
        if ended:
            raise StackError(f"{name}: {', '.join(ended)} ended right after the start.{_log_ends(stack, ended)}")
        try:
            is_healthy = check(stack)
        except httpx.ConnectError:
            return False
        except (httpx.HTTPError, ValueError):
            is_healthy = False
        # a server of another installation would pass the check just as well
        if not supervisor.listens(stack.ports[name]):
            raise PortTaken(f"{name}: another program took port {stack.ports[name]} during the start")
        return is_healthy

    if not wait_until(is_ready, timeout_s=TIMEOUT_S[name], every_s=0.4):
        raise StackError(f"{name} did not answer within {TIMEOUT_S[name]} s.{_log_ends(stack, PROGRAMS[name])}")


def _log_ends(stack: Stack, programs: Iterable[str]) -> str:
    text = ""
    for name in programs:
        log = stack.logs / f"{name}.log"
        lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:] if log.exists() else ["(empty)"]
        text += f"\n{log} ends with:\n  " + "\n  ".join(lines)
    return text


def _get(address: str, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.get(address, headers=headers, timeout=5, trust_env=False)


def _has_bucket(stack: Stack) -> bool:
    # signed, because without a key the server answers 403 for any bucket
    address = f"{stack.url('s3')}/{stack.bucket}/?max-keys=0"
    request = AWSRequest("GET", address)
    credentials = Credentials(stack.secrets.s3_access_key, stack.secrets.s3_secret_key)
    S3SigV4Auth(credentials, "s3", stack.region).add_auth(request)
    return _get(address, dict(request.headers)).status_code == 200


def _has_node(stack: Stack) -> bool:
    # a node that refuses containers (its disk is full) is not counted
    response = _get(f"{stack.url('resource-manager')}/ws/v1/cluster/metrics")
    return response.status_code == 200 and bool(response.json()["activeNodes"])


def _is_healthy(stack: Stack) -> bool:
    response = _get(f"{stack.url('airflow')}/api/v2/monitor/health")
    return response.status_code == 200 and all(response.json()[part]["status"] == "healthy" for part in HEALTHY_PARTS)
