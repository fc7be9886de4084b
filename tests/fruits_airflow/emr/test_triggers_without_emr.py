"""The wait for a step goes on while EMR is away, and ends at its time limit."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from airflow.providers.amazon.aws.triggers.emr import EmrAddStepsTrigger
from airflow.triggers.base import TriggerEvent

from fruits_airflow.bucket import Bucket
from fruits_airflow.emr.triggers import StageTrigger
from fruits_contract import layout

KEY = layout.progress("r1", "featurize")
EVENT = TriggerEvent({"status": "success", "value": ["s-1"]})
LIMIT_S = 30


COMPLETED = {"Steps": [{"Id": "s-1", "Status": {"State": "COMPLETED"}}]}
FAILED = {"Steps": [{"Id": "s-1", "Status": {"State": "FAILED"}}]}
HANGS_UP = None


@contextmanager
def emr_that_answers(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> Iterator[list[Any]]:
    """Serve the answers, one per ListSteps: a status, a body, or HANGS_UP; yield those that are left. The last one stays."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if not self.headers["X-Amz-Target"].endswith("ListSteps"):
                self.send_error(404)
                return
            answer = left.pop(0) if len(left) > 1 else left[0]
            if answer is HANGS_UP:
                self.close_connection = True
                return
            status, body = (answer, {"__type": "Whatever"}) if isinstance(answer, int) else (200, answer)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # Stays set when the server is gone.
    monkeypatch.setenv("AWS_ENDPOINT_URL_EMR", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    try:
        yield left
    finally:
        server.shutdown()
        server.server_close()


def test_the_wait_goes_on_while_nothing_listens(monkeypatch: pytest.MonkeyPatch, connection: Bucket) -> None:
    with emr_that_answers(monkeypatch, COMPLETED):
        pass
    (event,) = wait_for_step(limit_s=0.5)
    assert "EMR cannot be reached: Could not connect to the endpoint URL" in event.payload["message"]


def wait_for_step(*, since: float | None = None, limit_s: float = 30) -> list[TriggerEvent]:
    provided = EmrAddStepsTrigger("j-1", ["s-1"], 0.01, limit_s / 0.01, aws_conn_id=None, region_name="eu-north-1")  # type: ignore[arg-type]
    trigger = StageTrigger.of(provided, since=since or time.time(), bucket="photos", region="eu-north-1", progress_key=KEY)

    async def collect() -> list[TriggerEvent]:
        return [event async for event in trigger.run()]

    return asyncio.run(collect())


@pytest.mark.parametrize("away", [HANGS_UP, 500, 503])
def test_the_wait_goes_on_while_emr_is_away(monkeypatch: pytest.MonkeyPatch, connection: Bucket, away: int | None) -> None:
    with emr_that_answers(monkeypatch, away, away, away, COMPLETED) as left:
        assert wait_for_step() == [EVENT]
        assert left == [COMPLETED]


@pytest.mark.parametrize("away", [HANGS_UP, 503])
def test_the_wait_for_emr_ends_at_the_time_limit(monkeypatch: pytest.MonkeyPatch, connection: Bucket, away: int | None) -> None:
    with emr_that_answers(monkeypatch, away):
        (event,) = wait_for_step(since=time.time() - 60)
    assert event.payload["status"] == "error"
    assert "EMR cannot be reached" in event.payload["message"]


@pytest.mark.parametrize("answer", [FAILED, 400])
def test_a_failed_step_and_a_refusal_end_the_wait(monkeypatch: pytest.MonkeyPatch, connection: Bucket, answer: Any) -> None:
    with emr_that_answers(monkeypatch, answer):
        (event,) = wait_for_step()
    assert event.payload["status"] == "error"


def test_another_triggerer_keeps_to_the_time_limit(monkeypatch: pytest.MonkeyPatch, connection: Bucket) -> None:
    with emr_that_answers(monkeypatch, {"Steps": [{"Id": "s-1", "Status": {"State": "RUNNING"}}]}, COMPLETED):
        (event,) = wait_for_step(since=time.time() - 60)
    assert "max attempts reached" in event.payload["message"]
