"""The embedded services, really started, used and stopped, in a state folder of their own."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from local import AIRFLOW_USER, REPO, interrupts
from local.cli import FOREIGN
from local.stack import StackError, ports, programs, readiness, services
from local.stack.stack import Stack
from local.stack.supervision import Supervisor
from local.waiting import wait_until

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


IMPATIENT_RUN = """
import sys
from local import cli
from local.client import dag_runs

dag_runs.SILENCE_LIMIT_S = 3
sys.exit(cli.main(["run"]))
"""


def python(*argv: str, stack: Stack, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *argv],
        env={**os.environ, "FRUITS_STATE": str(stack.state), "PYTHONPATH": f"{REPO}:{REPO}/plugins"},
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def restore_signals() -> None:
    """Undo what nohup and background jobs pass on to their children: ignored signals."""
    for signum in interrupts.SIGNALS:
        signal.signal(signum, signal.SIG_DFL)


def listeners(stack: Stack) -> list[tuple[str, int]]:
    found = []
    for process in Supervisor(stack).processes():
        with contextlib.suppress(psutil.Error):
            connections = process.net_connections("inet")
            found += [tuple(each.laddr) for each in connections if each.status == psutil.CONN_LISTEN]
    return found


@pytest.fixture(scope="module")
def stack(tmp_path_factory) -> Stack:
    return Stack.load(tmp_path_factory.mktemp("services") / "state with blank")


@pytest.fixture(scope="module")
def busy_port():
    """Hold the preferred port of S3; a port of our own, because others may take or leave the usual one meanwhile."""
    port = ports.choose({"s3": 8333}, with_grpc=["s3"])["s3"]
    with socket.create_server(("127.0.0.1", port)), pytest.MonkeyPatch.context() as patch:
        patch.setitem(programs.PREFERRED_PORTS, "s3", port)
        yield port


@pytest.fixture(scope="module")
def running(stack, busy_port):
    try:
        yield services.up(stack)
    finally:
        services.down(stack)


def test_each_service_answers(running):
    assert httpx.get(running.url("s3") + "/status", trust_env=False).status_code == 200
    assert httpx.get(running.url("emr"), trust_env=False).status_code == 200
    health = httpx.get(running.url("airflow") + "/api/v2/monitor/health", trust_env=False).json()
    assert {part["status"] for part in health.values()} == {"healthy"}


def test_the_spark_history_answers_although_up_does_not_wait_for_it(running):
    def answers() -> bool:
        with contextlib.suppress(httpx.ConnectError):
            return httpx.get(running.url("spark-history"), trust_env=False).status_code == 200
        return False

    assert wait_until(answers, timeout_s=60), (running.logs / "spark-history.log").read_text()


def test_the_password_opens_airflow(running):
    login = {"username": AIRFLOW_USER, "password": running.secrets.airflow_password}
    answer = httpx.post(running.url("airflow") + "/auth/token", json=login, trust_env=False)
    assert answer.status_code == 201
    wrong = httpx.post(running.url("airflow") + "/auth/token", json={**login, "password": "x"}, trust_env=False)
    assert wrong.status_code == 401


def test_s3_clients_need_the_variables_only(running):
    done = subprocess.run([sys.executable, "-c", CLIENTS], env=running.env, capture_output=True, text=True, check=False)
    assert done.stdout == "fine\n", done.stderr


def test_s3_is_ready_when_it_holds_the_bucket(running, monkeypatch):
    assert readiness._has_bucket(running)
    monkeypatch.setattr(Stack, "bucket", "another")
    assert not readiness._has_bucket(running)


def test_s3_refuses_other_keys(running):
    assert httpx.get(f"{running.url('s3')}/{running.bucket}/", trust_env=False).status_code == 403


def test_a_taken_port_is_replaced(running, busy_port):
    assert running.ports["s3"] != busy_port


def test_nothing_listens_outside_this_machine(running, stack):
    found = listeners(stack)
    assert {port for _, port in found} >= {running.ports[name] for name in ("s3", "emr", "airflow", "spark-history")}
    assert {address for address, _ in found} == {"127.0.0.1"}


def test_secrets_are_for_this_user_only(running, stack):
    assert stack.state.stat().st_mode & 0o077 == 0
    assert (stack.state / "services.json").stat().st_mode & 0o077 == 0
    assert (stack.sockets / "supervisord.conf").stat().st_mode & 0o077 == 0


def test_foreign_settings_do_not_reach_the_services(running, stack):
    names = {name for process in Supervisor(stack).processes() for name in process.environ()}
    assert not names & {*FOREIGN, "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"}


def test_a_second_up_changes_nothing(running, stack):
    before = {name: info["pid"] for name, info in Supervisor(stack).programs().items()}
    assert services.up(stack) == running
    assert {name: info["pid"] for name, info in Supervisor(stack).programs().items()} == before


def test_a_session_leaves_running_what_was_up(running, stack):
    with services.session(stack) as inside:
        assert inside == running
    assert Supervisor(stack).is_up()


def test_the_last_session_stops_the_services(own_stack: Stack) -> None:
    with services.session(own_stack) as outer:
        with services.session(own_stack):
            pass
        assert Supervisor(outer).is_up(), "the other session still needs them"
        first = Supervisor(outer).processes()
    assert not Supervisor(outer).processes() and first


def test_up_keeps_up_what_a_session_has_started(own_stack: Stack) -> None:
    with services.session(own_stack) as inside:
        services.up(own_stack)
    assert Supervisor(inside).is_up()
    services.down(inside)
    assert not Supervisor(inside).processes()


def test_env_survives_a_shell(running, stack):
    lines = python("-m", "local", "env", stack=stack).communicate()[0]
    assert all(line.startswith(("export ", "unset ")) for line in lines.splitlines())
    script = lines + 'printf %s "$SPARK_CONF_DIR"'
    assert subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True).stdout == str(stack.spark_conf)


def test_crash_then_up_then_down(running, stack, capfd):
    """Last of those that share the services, because it ends them."""
    for process in Supervisor(stack).processes():
        if "supervisor.supervisord" in process.cmdline():
            process.kill()
    key = httpx.get(running.url("s3") + "/status", trust_env=False)
    assert key.status_code == 200  # the programs have outlived their parent
    again = services.up(stack)
    assert again.secrets == running.secrets
    done = subprocess.run([sys.executable, "-c", CLIENTS], env=again.env, capture_output=True, text=True, check=False)
    assert done.stdout == "fine\n", done.stderr
    capfd.readouterr()
    services.down(stack)
    lines = [line for line in capfd.readouterr().err.splitlines() if not re.fullmatch(r"Stopping the services, \d+ s", line)]
    assert lines == ["Stopping the services ...", "All stopped"], "supervisord did not stop them in order"
    assert Supervisor(stack).processes() == []
    with pytest.raises(StackError, match="make up"):
        services.require_up(stack)


@pytest.fixture
def own_stack(tmp_path: Path):
    """A stack for one test, stopped whatever the test does."""
    stack = Stack.load(tmp_path / "s")
    yield stack
    services.down(stack)


@pytest.mark.parametrize(("signum", "at_process"), [(signal.SIGINT, 1), (signal.SIGTERM, 4), (signal.SIGHUP, 4)])
def test_an_interrupted_up_leaves_nothing(own_stack, signum, at_process):
    supervisor = Supervisor(own_stack)
    starting = python("-m", "local", "up", stack=own_stack, start_new_session=True, preexec_fn=restore_signals)
    assert wait_until(lambda: len(supervisor.processes()) >= at_process, timeout_s=60)
    starting.send_signal(signum)
    time.sleep(0.5)
    with contextlib.suppress(ProcessLookupError):
        starting.send_signal(signal.SIGINT)  # an impatient second Ctrl-C
    starting.communicate(timeout=60)
    # The second signal may meet an interpreter that has undone everything and is ending, with Python's handlers gone.
    assert starting.returncode in (130, -signal.SIGINT)
    assert supervisor.processes() == []


def test_a_run_whose_services_die_names_them_and_their_logs(own_stack):
    running = python("-c", IMPATIENT_RUN, stack=own_stack)
    printed = iter(running.stdout.readline, "")
    assert any(line.startswith("fruits_features: run manual__") for line in printed), running.stderr.read()
    for process in Supervisor(own_stack).processes():
        process.kill()
    _, stderr = running.communicate(timeout=120)
    assert running.returncode == 1
    assert "A service no longer answers: " in stderr
    assert f"api-server is down; its log is {own_stack.logs}/api-server.log" in stderr
    assert "Traceback" not in stderr


def test_a_service_that_does_not_start_is_named_with_its_log(own_stack, monkeypatch):
    monkeypatch.setattr("local.stack.programs._emr", lambda stack: [sys.executable, "-c", "raise SystemExit('no room')"])
    with pytest.raises(StackError, match=r"(?s)emr.*emr\.log ends with.*no room"):
        services.up(own_stack)
    assert Supervisor(own_stack).processes() == []


def test_a_port_lost_during_the_start_is_not_taken_for_ours(own_stack, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        lost = foreign.getsockname()[1]
        choices = iter([{"emr": lost}])
        choose = programs.choose_ports
        monkeypatch.setattr("local.stack.programs.choose_ports", lambda master: {**choose(master), **next(choices, {})})
        assert services.up(own_stack).ports["emr"] != lost
