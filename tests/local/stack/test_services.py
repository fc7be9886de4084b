"""The embedded default itself: really started, really asked, really stopped, in a state folder of its own."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from local import REPO
from local.stack import environment, ports, programs, services, supervision
from local.stack.state import Places

pytestmark = pytest.mark.slow

CLIENTS = """
import os
import boto3, deltalake, obstore, pyarrow
from obstore.store import S3Store

bucket = os.environ["FRUITS_BUCKET"]
boto3.client("s3").put_object(Bucket=bucket, Key="test/a", Body=b"boto3")
store = S3Store(bucket)
assert bytes(obstore.get(store, "test/a").bytes()) == b"boto3"
table = f"s3://{bucket}/test/table-{os.getpid()}"
for value in (1, 2):
    deltalake.write_deltalake(table, pyarrow.table({"a": [value]}), mode="append")
assert deltalake.DeltaTable(table).version() == 1
obstore.put(store, f"test/once-{os.getpid()}", b"", mode="create")
try:
    obstore.put(store, f"test/once-{os.getpid()}", b"", mode="create")
except obstore.exceptions.AlreadyExistsError:
    print("fine")
"""


def local(*words: str, places: Places, **options) -> subprocess.Popen:
    variables = {**os.environ, "FRUITS_STATE": str(places.state), "PYTHONPATH": str(REPO)}
    command = [sys.executable, "-m", "local", *words]
    return subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True, cwd=REPO, **options)


def listeners(places: Places) -> list[tuple[str, int]]:
    found = []
    for process in supervision.marked(places):
        with contextlib.suppress(psutil.Error):
            connections = process.net_connections("inet")
            found += [tuple(each.laddr) for each in connections if each.status == psutil.CONN_LISTEN]
    return found


def wait_until(condition, *, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> Places:
    return Places(Places.default().cache, tmp_path_factory.mktemp("services") / "state with blank")


@pytest.fixture(scope="module")
def busy_port():
    """Hold the port that S3 prefers; one of our own, because on a shared machine the usual one comes and goes."""
    port = ports.choose({"s3": 8333}, with_grpc=["s3"])["s3"]
    with socket.create_server(("127.0.0.1", port)), pytest.MonkeyPatch.context() as patch:
        patch.setitem(programs.PREFERRED_PORTS, "s3", port)
        yield port


@pytest.fixture(scope="module")
def running(places, busy_port):
    try:
        yield services.up(places)
    finally:
        services.down(places)


def test_each_service_answers(running):
    assert httpx.get(running.s3_url + "/status", trust_env=False).status_code == 200
    assert httpx.get(running.emr_url, trust_env=False).status_code == 200
    health = httpx.get(running.airflow_url + "/api/v2/monitor/health", trust_env=False).json()
    assert {part["status"] for part in health.values()} == {"healthy"}


def test_the_password_opens_airflow(running):
    login = {"username": running.airflow_user, "password": running.airflow_password}
    answer = httpx.post(running.airflow_url + "/auth/token", json=login, trust_env=False)
    assert answer.status_code == 201
    wrong = httpx.post(running.airflow_url + "/auth/token", json={**login, "password": "x"}, trust_env=False)
    assert wrong.status_code == 401


def test_s3_clients_need_the_variables_only(running):
    done = subprocess.run([sys.executable, "-c", CLIENTS], env=running.env, capture_output=True, text=True, check=False)
    assert done.stdout == "fine\n", done.stderr


def test_s3_refuses_other_keys(running):
    assert httpx.get(f"{running.s3_url}/{running.bucket}/", trust_env=False).status_code == 403


def test_a_taken_port_is_replaced(running, busy_port):
    assert running.record.ports["s3"] != busy_port


def test_nothing_listens_outside_this_machine(running, places):
    found = listeners(places)
    assert {port for _, port in found} >= {running.record.ports[name] for name in ("s3", "emr", "airflow")}
    assert {address for address, _ in found} == {"127.0.0.1"}


def test_secrets_are_for_this_user_only(running, places):
    assert places.state.stat().st_mode & 0o077 == 0
    assert places.services_file.stat().st_mode & 0o077 == 0
    assert (places.sockets / "supervisord.conf").stat().st_mode & 0o077 == 0


def test_foreign_settings_do_not_reach_the_services(running, places):
    names = {name for process in supervision.marked(places) for name in process.environ()}
    assert not names & {*environment.FOREIGN, "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"}


def test_a_second_up_changes_nothing(running, places):
    before = {name: info["pid"] for name, info in supervision.states(places).items()}
    assert services.up(places) == running
    assert {name: info["pid"] for name, info in supervision.states(places).items()} == before


def test_a_session_leaves_running_what_was_up(running, places):
    with services.session(places) as inside:
        assert inside == running
    assert supervision.is_up(places)


def test_env_survives_a_shell(running, places):
    lines = local("env", places=places, stdout=subprocess.PIPE).communicate()[0]
    assert all(line.startswith(("export ", "unset ")) for line in lines.splitlines())
    script = lines + 'printf %s "$SPARK_CONF_DIR"'
    assert subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True).stdout == str(places.spark_conf)


def test_crash_then_up_then_down(running, places):
    """Last of those that share the services, because it ends them."""
    for process in supervision.marked(places):
        if "supervisor.supervisord" in process.cmdline():
            process.kill()
    key = httpx.get(running.s3_url + "/status", trust_env=False)
    assert key.status_code == 200  # the programs have outlived their parent
    again = services.up(places)
    assert again.record.secrets == running.record.secrets
    done = subprocess.run([sys.executable, "-c", CLIENTS], env=again.env, capture_output=True, text=True, check=False)
    assert done.stdout == "fine\n", done.stderr
    services.down(places)
    assert supervision.marked(places) == []
    with pytest.raises(services.NotUp, match="make up"):
        services.current(places)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_up_leaves_nothing(tmp_path: Path, signum):
    places = Places(Places.default().cache, tmp_path / "s")
    starting = local("up", places=places, start_new_session=True)
    wait_until(lambda: len(supervision.marked(places)) > 2, timeout_s=60)
    starting.send_signal(signum)
    time.sleep(0.5)
    with contextlib.suppress(ProcessLookupError):
        starting.send_signal(signal.SIGINT)  # an impatient second Ctrl-C
    starting.communicate(timeout=60)
    assert starting.returncode == 130
    assert supervision.marked(places) == []


def test_a_service_that_does_not_start_is_named_with_its_log(tmp_path: Path, monkeypatch):
    places = Places(Places.default().cache, tmp_path / "s")
    monkeypatch.setattr("local.stack.programs._emr", lambda places, port: [sys.executable, "-c", "raise SystemExit('no room')"])
    with pytest.raises(Exception, match=r"(?s)emr.*emr\.log ends with.*no room"):
        services.up(places)
    assert supervision.marked(places) == []


def test_a_port_lost_during_the_start_is_not_taken_for_ours(tmp_path: Path, monkeypatch):
    places = Places(Places.default().cache, tmp_path / "s")
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        lost = foreign.getsockname()[1]
        choices = iter([{"emr": lost}])
        choose = programs.choose_ports
        monkeypatch.setattr("local.stack.programs.choose_ports", lambda spark: {**choose(spark), **next(choices, {})})
        try:
            assert services.up(places).record.ports["emr"] != lost
        finally:
            services.down(places)
