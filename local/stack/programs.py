"""The table of programs, and supervisord's configuration made from it."""

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

from local import REPO
from local.stack import airflow, ports, yarn
from local.stack.environment import BUCKET
from local.stack.state import Places, Record

PREFERRED_PORTS = {
    "s3": 8333,
    "s3-master": 9333,
    "s3-volume": 9340,
    "s3-filer": 8888,
    "s3-admin": 23646,
    "emr": 8344,
    "airflow": 8080,
}
S3_PORTS = tuple(name for name in PREFERRED_PORTS if name.startswith("s3"))


@dataclass(frozen=True)
class Program:
    """One supervised process; groups stop one after the other, the last started first."""

    name: str
    group: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    stop_timeout_s: int = 10

    @property
    def log_name(self) -> str:
        """The name of its file in the folder of logs."""
        return f"{self.name}.log"


def choose_ports(spark: str) -> dict[str, int]:
    """Return a free port for every server; `spark` is one of `spark.MASTERS`."""
    return ports.choose(PREFERRED_PORTS | (yarn.PREFERRED_PORTS if spark == "yarn" else {}), with_grpc=S3_PORTS)


def airflow_settings(places: Places, record: Record) -> dict[str, str]:
    """Return the variables that only Airflow's processes have."""
    return airflow.settings(places, port=record.ports["airflow"], secrets=record.secrets)


def table(places: Places, record: Record) -> list[Program]:
    """Return all programs in the order in which they start."""
    settings = airflow_settings(places, record)
    on_yarn = yarn.CLASSES if record.spark == "yarn" else ()
    return [
        Program("s3", "s3", _weed(places, record)),
        # Each is a group of its own: the NodeManager is to be gone, with its containers, before the ResourceManager stops. It
        # ends them in the first seconds, and then waits ten more for the day when old logs are deleted.
        *(Program(name, name, yarn.command(places, name), stop_timeout_s=8) for name in on_yarn),
        Program("emr", "emr", _emr(places, record.ports["emr"]), stop_timeout_s=20),
        *(Program(name, "airflow", airflow.command(name), settings, 15) for name in airflow.PROCESSES),
    ]


def _weed(places: Places, record: Record) -> list[str]:
    return [
        str(Path(sys.executable).with_name("weed")),
        "mini",
        f"-dir={places.s3}",
        f"-bucket={BUCKET}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-s3.port={record.ports['s3']}",
        *(f"-{name}.port={record.ports[f's3-{name}']}" for name in ("master", "volume", "filer", "admin")),
        f"-filer.localSocket={places.sockets}/filer.sock",
        f"-s3.localSocket={places.sockets}/s3.sock",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        # photos lie beside their names instead of in a volume: a fifth less work per GET
        "-filer.saveToFilerLimit=65536",
        "-s3.autoCreateBucket=false",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
    ]


def _emr(places: Places, port: int) -> list[str]:
    words = ["--port", str(port), "--state", str(places.emr), "--spark-conf", str(places.spark_conf)]
    return [sys.executable, "-m", "local.emr", *words]


def supervisord_config(places: Places, programs: list[Program]) -> str:
    """Return supervisord's configuration: a unix socket for this user only, and no TCP port."""
    sections: list[tuple[str, dict[str, object]]] = [
        ("unix_http_server", {"file": places.sockets / "supervisor.sock", "chmod": "0700"}),
        (
            "supervisord",
            {
                "pidfile": places.sockets / "supervisord.pid",
                "logfile": places.logs / "supervisord.log",
                "logfile_maxbytes": "1MB",
                "logfile_backups": 1,
                "childlogdir": places.logs,
                "directory": REPO,
                "umask": "077",
            },
        ),
        (
            "rpcinterface:supervisor",
            {"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
        ),
    ]
    for priority, group in enumerate(dict.fromkeys(program.group for program in programs), start=1):
        members = [program for program in programs if program.group == group]
        names = ",".join(program.name for program in members)
        sections.append((f"group:{group}", {"programs": names, "priority": priority}))
        sections.extend((f"program:{program.name}", _program(places, program)) for program in members)
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key}={_escaped(key, value)}\n" for key, value in values.items()) for name, values in sections
    )


def _program(places: Places, program: Program) -> dict[str, object]:
    return {
        "command": shlex.join(program.command),
        "environment": ",".join(f'{name}="{value}"' for name, value in program.environment.items()),
        "autostart": "false",
        "autorestart": "true",
        "startsecs": 2,
        "startretries": 3,
        "stopasgroup": "true",
        "killasgroup": "true",
        "stopwaitsecs": program.stop_timeout_s,
        "redirect_stderr": "true",
        "stdout_logfile": places.logs / program.log_name,
        "stdout_logfile_maxbytes": "10MB",
        "stdout_logfile_backups": 2,
    }


def _escaped(key: str, value: object) -> str:
    """Supervisor expands % in every value."""
    text = str(value).replace("%", "%%")
    if "\n" in text or " ;" in text:
        raise ValueError(f"{key}={text!r} cannot be told to supervisord; move the repository or $FRUITS_STATE to a plainer path")
    return text
