"""Waiting until each service answers, and saying which log to read when one does not."""

import time
from collections.abc import Callable

import httpx
import tenacity

from local.console import say
from local.stack import airflow, supervision, yarn
from local.stack.environment import BUCKET, url
from local.stack.state import Places, Record

TIMEOUT_S = {"s3": 60, "resource-manager": 60, "emr": 60, "airflow": 240}
LOGS = {
    "s3": ("s3",),
    "resource-manager": tuple(yarn.CLASSES),
    "emr": ("emr",),
    "airflow": tuple(airflow.PROCESSES),
}
HEALTHY_PARTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


class NotReady(Exception):
    """A service did not answer in time or ended; the message names its log and shows its end."""


class PortTaken(NotReady):
    """Between the choice of a port and its use somebody else took it; other ports will do."""


def wait(places: Places, record: Record) -> None:
    """Return when S3 holds the bucket, YARN (where there is one) has its node, EMR answers, and Airflow is healthy."""
    checks: dict[str, Callable[[str], bool]] = {
        "s3": _has_bucket,
        "resource-manager": _has_node,
        "emr": _answers,
        "airflow": _is_healthy,
    }
    for name, check in checks.items():
        if name not in record.ports:
            continue
        began = time.monotonic()
        address = url(record.ports[name])
        _wait_for(places, name, record.ports[name], lambda address=address, check=check: check(address))  # type: ignore[misc]
        say(f"{name:16} {address}  {time.monotonic() - began:.0f} s")


def _wait_for(places: Places, name: str, port: int, check: Callable[[], bool]) -> None:
    def is_ready() -> bool:
        known = supervision.states(places)
        ended = [program for program in LOGS[name] if known.get(program, {}).get("statename") in ("FATAL", "EXITED", None)]
        if ended:
            raise NotReady(f"{name}: {', '.join(ended)} ended right after the start.{_last_words(places, ended)}")
        try:
            is_healthy = check()
        except httpx.ConnectError:
            return False
        except (httpx.HTTPError, ValueError):
            is_healthy = False
        # somebody is there; another installation's server would pass the check just as well
        if not supervision.listens(places, port):
            raise PortTaken(f"{name}: somebody else took port {port} during the start")
        return is_healthy

    retry = tenacity.Retrying(
        stop=tenacity.stop_after_delay(TIMEOUT_S[name]),
        wait=tenacity.wait_fixed(0.4),
        retry=tenacity.retry_if_result(lambda ready: not ready),
    )
    try:
        retry(is_ready)
    except tenacity.RetryError as error:
        raise NotReady(f"{name} did not answer within {TIMEOUT_S[name]} s.{_last_words(places, list(LOGS[name]))}") from error


def _last_words(places: Places, names: list[str]) -> str:
    parts = []
    for name in names:
        log = places.logs / f"{name}.log"
        lines = log.read_text(errors="replace").splitlines()[-8:] if log.exists() else ["(empty)"]
        parts.append(f"\n{log} ends with:\n  " + "\n  ".join(lines))
    return "".join(parts)


def _get(address: str) -> httpx.Response:
    return httpx.get(address, timeout=5, trust_env=False)


def _has_bucket(address: str) -> bool:
    # without a key: 403 says that the bucket is there, 404 that it is not
    return _get(f"{address}/status").status_code == 200 and _get(f"{address}/{BUCKET}/").status_code in (200, 403)


def _has_node(address: str) -> bool:
    # a node that does not want containers (its disk is full) is not counted
    answer = _get(f"{address}/ws/v1/cluster/metrics")
    return answer.status_code == 200 and bool(answer.json()["activeNodes"])


def _answers(address: str) -> bool:
    return _get(f"{address}/").status_code == 200


def _is_healthy(address: str) -> bool:
    answer = _get(f"{address}/api/v2/monitor/health")
    return answer.status_code == 200 and all(answer.json()[part]["status"] == "healthy" for part in HEALTHY_PARTS)
