"""A pytest plugin that records which S3 and EMR requests each role of the embedded services makes (make record-calls).

Airflow, the nodes, the service and the release each reach S3 and EMR through a proxy of their own, which tells whose request it
is. What the tests themselves request goes past the proxies.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from local import serve
from local.stack import airflow, programs, services, spark
from local.stack.stack import Stack
from tests.e2e import embedded_stack
from tests.faults.fault_proxy import FaultProxy
from tests.infra import iam_calls, recorded
from tests.infra.iam_calls import Call

SERVERS = {"airflow": ("s3", "emr"), "emr-node": ("s3",), "serving": ("s3",), "deployer": ("s3",)}


class Recorder:
    """The proxies, and what has come through them."""

    def __init__(self) -> None:
        self.calls: set[tuple[str, str, str, tuple[tuple[str, str], ...]]] = set()
        self._state: Path | None = None
        self._proxies: dict[tuple[str, str], FaultProxy] = {}
        self._role = ""
        self._url = Stack.url

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start the proxies and lead each role through its own while the body runs."""
        with ExitStack() as proxies, pytest.MonkeyPatch.context() as patch:
            for role, servers in SERVERS.items():
                for server in servers:
                    proxy = FaultProxy(lambda server=server: self._port(server))
                    proxy.fault = self._recording(role, server)
                    proxies.enter_context(proxy.running())
                    self._proxies[role, server] = proxy
            self._patch(patch)
            yield

    def _patch(self, patch: pytest.MonkeyPatch) -> None:
        table, write_config, started, session = programs.table, spark.write_config, serve.started, services.session

        def recorded_table(stack: Stack) -> list[programs.Program]:
            with self.as_role("emr-node"):
                environment = stack.aws_env
            return [replace(item, environment=environment) if item.name == "emr" else item for item in table(stack)]

        @contextmanager
        def recorded_service(stack: Stack) -> Iterator[Any]:
            with ExitStack() as entered:
                with self.as_role("serving"):
                    result = entered.enter_context(started(stack))
                yield result

        @contextmanager
        def recorded_session(stack: Stack) -> Iterator[Stack]:
            self._state = stack.state  # its ports are known once it is up
            with session(stack) as running:
                yield running
                self._run_rare_calls(running)

        def recorded_config(folder: Any, *, s3_endpoint: str) -> None:
            write_config(folder, s3_endpoint=self._proxy_url("emr-node", "s3"))

        def url(stack: Stack, server: str) -> str:
            return self._proxy_url(self._role, server) if (self._role, server) in self._proxies else self._url(stack, server)

        patch.setattr(Stack, "url", url)
        patch.setattr(programs, "table", recorded_table)
        patch.setattr(spark, "write_config", recorded_config)
        patch.setattr(serve, "started", recorded_service)
        patch.setattr(services, "session", recorded_session)
        patch.setattr(airflow, "_aws_connection", self._as("airflow", airflow._aws_connection))
        patch.setattr(embedded_stack, "upload_release", self._release(embedded_stack.upload_release))
        # Other services of this machine, started meanwhile, take the usual ones.
        patch.setattr(programs, "PREFERRED_PORTS", {name: port + 11_000 for name, port in programs.PREFERRED_PORTS.items()})

    @contextmanager
    def as_role(self, role: str) -> Iterator[None]:
        """Let addresses of the services be those of a role's proxies."""
        before, self._role = self._role, role
        try:
            yield
        finally:
            self._role = before

    def _as(self, role: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self.as_role(role):
                return function(*args, **kwargs)

        return wrapped

    def _release(self, upload: Callable[..., Any]) -> Callable[..., Any]:
        def recorded_upload(*args: Any, **kwargs: Any) -> Any:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("AWS_ENDPOINT_URL_S3", self._proxy_url("deployer", "s3"))
                return upload(*args, **kwargs)

        return recorded_upload

    def _run_rare_calls(self, stack: Stack) -> None:
        """What no test of the embedded services reaches, in a process of its own: delta-rs would hold up the proxies' threads."""
        with self.as_role("airflow"):
            environment = {**os.environ, **stack.env, "UPLOADS_TO": self._url(stack, "s3")}
        subprocess.run([sys.executable, "-m", "tests.infra.rare_calls"], env=environment, check=True, timeout=600)

    def _port(self, server: str) -> int:
        assert self._state is not None, "no request comes before the services are started"
        return Stack.load(self._state).ports[server]

    def _proxy_url(self, role: str, server: str) -> str:
        return f"http://127.0.0.1:{self._proxies[role, server].port}"

    def _recording(self, role: str, server: str) -> Callable[[web.Request], Any]:
        async def record(request: web.Request) -> None:
            body = await request.read()
            if server == "emr":
                found = iam_calls.of_emr(role, request.headers["x-amz-target"].partition(".")[2], body)
            else:
                path, _, query = request.raw_path.partition("?")
                headers = {name.lower(): value for name, value in request.headers.items()}
                found = iam_calls.of_s3(role, request.method, path, query, headers, body)
            for call in found:
                self.calls.add((call.role, call.action, call.resource, tuple(sorted(call.context.items()))))

        return record


def pytest_configure(config: pytest.Config) -> None:
    """Lead all embedded services of this session through the proxies."""
    recorder = Recorder()
    entered = recorder.running()
    entered.__enter__()
    config.stash[RECORDER] = (recorder, entered)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep what was recorded, unless a test failed: then half of it may be missing."""
    if exitstatus == pytest.ExitCode.OK:
        recorder, _ = session.config.stash[RECORDER]
        recorded.store(Call(role, action, resource, dict(context)) for role, action, resource, context in recorder.calls)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the proxies."""
    _, entered = config.stash[RECORDER]
    entered.__exit__(None, None, None)


RECORDER: pytest.StashKey[tuple[Recorder, AbstractContextManager[None]]] = pytest.StashKey()
