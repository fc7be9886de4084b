"""The table of programs, and supervisord's configuration made from it."""

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

from local import REPO
from local.stack import airflow, ports, spark_history, yarn
from local.stack.stack import Stack

PREFERRED_PORTS = {
    "s3": 8333,
    "s3-master": 9333,
    "s3-volume": 9340,
    "s3-filer": 8888,
    "s3-admin": 23646,
    "spark-history": spark_history.PREFERRED_PORT,
    "emr": 8344,
    "airflow": 8080,
}
S3_PORTS = tuple(name for name in PREFERRED_PORTS if name.startswith("s3"))


@dataclass(frozen=True)
class Program:
    """One supervised process; groups are stopped one after the other, in reverse order."""

    name: str
    group: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    stop_timeout_s: int = 10

    @property
    def log_name(self) -> str:
        """The name of its file in the folder of logs."""
        return f"{self.name}.log"


def choose_ports(master: str) -> dict[str, int]:
    """Return a free port for every server; `master` is one of `spark.MASTERS`."""
    return ports.choose(PREFERRED_PORTS | (yarn.PREFERRED_PORTS if master == "yarn" else {}), with_grpc=S3_PORTS)


def table(stack: Stack) -> list[Program]:
    """Return all programs in the order in which they start."""
    airflow_settings = airflow.settings(stack)
    on_yarn = yarn.CLASSES if stack.master == "yarn" else ()
    return [
        Program("s3", "s3", _weed(stack), stack.aws_env),
        # Groups of their own: the NodeManager ends its containers before the ResourceManager stops. It does so in the first
        # seconds, and then waits ten more for the deletion of old logs.
        *(Program(name, name, yarn.command(stack, name), stack.aws_env, 8) for name in on_yarn),
        Program("spark-history", "spark-history", spark_history.command(stack), spark_history.ENVIRONMENT),
        Program("emr", "emr", _emr(stack), stack.aws_env, 20),
        *(Program(name, "airflow", airflow.command(name), airflow_settings, 15) for name in airflow.PROCESSES),
    ]


def _weed(stack: Stack) -> list[str]:
    return [
        str(Path(sys.executable).with_name("weed")),
        "mini",
        f"-dir={stack.s3}",
        f"-bucket={stack.bucket}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-s3.port={stack.ports['s3']}",
        *(f"-{name}.port={stack.ports[f's3-{name}']}" for name in ("master", "volume", "filer", "admin")),
        f"-filer.localSocket={stack.sockets}/filer.sock",
        f"-s3.localSocket={stack.sockets}/s3.sock",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        # photos are stored inside the filer's entries instead of in a volume: a fifth less work per GET
        "-filer.saveToFilerLimit=65536",
        "-s3.autoCreateBucket=false",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
    ]


def _emr(stack: Stack) -> list[str]:
    argv = ["--port", str(stack.ports["emr"]), "--state", str(stack.emr), "--spark-conf", str(stack.spark_conf)]
    return [sys.executable, "-m", "local.emr", *argv, "--spark-history", f"{stack.url('spark-history')}/"]


def supervisord_config(stack: Stack, programs: list[Program]) -> str:
    """Return supervisord's configuration: a unix socket for this user only, and no TCP port."""
    sections: dict[str, dict[str, object]] = {
        "unix_http_server": {"file": stack.sockets / "supervisor.sock", "chmod": "0700"},
        "supervisord": {
            "pidfile": stack.sockets / "supervisord.pid",
            "logfile": stack.logs / "supervisord.log",
            "logfile_maxbytes": "1MB",
            "logfile_backups": 1,
            "childlogdir": stack.logs,
            "directory": REPO,
            "umask": "077",
        },
        "rpcinterface:supervisor": {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
    }
    for priority, group in enumerate(dict.fromkeys(program.group for program in programs), start=1):
        names = [program.name for program in programs if program.group == group]
        sections[f"group:{group}"] = {"programs": ",".join(names), "priority": priority}
    for program in programs:
        sections[f"program:{program.name}"] = {
            "command": shlex.join(program.command),
            "environment": ",".join(f'{name}="{value}"' for name, value in program.environment.items()),
            "autorestart": "true",
            "startsecs": 2,
            "startretries": 3,
            "stopasgroup": "true",
            "killasgroup": "true",
            "stopwaitsecs": program.stop_timeout_s,
            "redirect_stderr": "true",
            "stdout_logfile": stack.logs / program.log_name,
            "stdout_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": 2,
        }
    lines = []
    for name, values in sections.items():
        lines.append(f"[{name}]")
        lines += [f"{key}={_escaped(key, value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _escaped(key: str, value: object) -> str:
    """Supervisor expands % in every value."""
    text = str(value).replace("%", "%%")
    if "\n" in text or " ;" in text:
        raise ValueError(
            f"{key}={text!r} cannot be written to supervisord.conf; move the repository or $FRUITS_STATE to a plainer path"
        )
    return text
