"""One installation of the services: its folder, the ports and keys of its servers, and the environment that reaches them."""

import base64
import hashlib
import json
import os
import secrets
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

from local import REPO
from local.stack import spark

SOCKET_PATH_LIMIT = 90  # the kernel takes 107 bytes; supervisor first binds the path with ".<pid>" added
LOOPBACK = "127.0.0.1,localhost"
# by this variable a process is recognised as one of ours, whatever its parent is by now
MARK = "FRUITS_SERVICES_OF"
KEPT = ("HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True)
class Secrets:
    """Generated once per state folder; they open nothing outside this machine."""

    s3_access_key: str
    s3_secret_key: str
    airflow_password: str
    airflow_fernet_key: str
    airflow_jwt_secret: str
    airflow_api_secret: str
    contributor_key: str

    @classmethod
    def generate(cls) -> "Secrets":
        """Return new random secrets."""
        return cls(
            s3_access_key="FRUITS" + secrets.token_hex(7).upper(),
            s3_secret_key=secrets.token_hex(20),
            airflow_password=secrets.token_urlsafe(9),
            airflow_fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            airflow_jwt_secret=secrets.token_hex(32),
            airflow_api_secret=secrets.token_hex(32),
            contributor_key=secrets.token_hex(32),
        )


@dataclass(frozen=True)
class Stack:
    """One installation of the services, running or not.

    Parameters
    ----------
    state
        The folder with all that it keeps: photos, results, Airflow's history, logs, and services.json with the fields below.
    secrets
        Keys and passwords of its servers.
    ports
        By server, those of the last start; empty before the first one.
    master
        What Spark runs on, one of `spark.MASTERS`.
    """

    state: Path
    secrets: Secrets = field(repr=False)
    ports: dict[str, int] = field(default_factory=dict)
    master: str = "local"

    bucket: ClassVar[str] = "fruits-local"
    region: ClassVar[str] = "eu-north-1"

    @classmethod
    def load(cls, state: Path | None = None) -> "Stack":
        """Return the installation in a state folder: $FRUITS_STATE or .fruits/state where none is given."""
        state = state or Path(os.environ.get("FRUITS_STATE") or REPO / ".fruits" / "state").resolve()
        file = state / "services.json"
        if not file.exists():
            return cls(state, Secrets.generate())
        try:
            kept = json.loads(file.read_text())
            added = {"contributor_key": Secrets.generate().contributor_key}  # earlier releases had none; `save` keeps it
            return cls(state, Secrets(**{**added, **kept["secrets"]}), kept["ports"], kept.get("spark", "local"))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{file} is not what this version writes ({error!r}); delete it and start again: it gets new keys, the data stays"
            ) from error

    def save(self) -> None:
        """Write services.json in one step, readable by this user only."""
        part = self.state / "services.json.part"
        part.touch(mode=0o600)
        part.write_text(json.dumps({"ports": self.ports, "secrets": asdict(self.secrets), "spark": self.master}, indent=1))
        part.replace(self.state / "services.json")

    def make_folders(self) -> None:
        """Create the folders, for this user only because they hold keys."""
        for folder in (self.s3, self.emr, self.airflow, self.spark_conf, self.spark_events, self.yarn, self.logs, self.sockets):
            folder.mkdir(parents=True, exist_ok=True)
        self.aws_config.touch()
        self.state.chmod(0o700)
        self.sockets.chmod(0o700)

    @property
    def s3(self) -> Path:
        return self.state / "s3"

    @property
    def emr(self) -> Path:
        return self.state / "emr"

    @property
    def airflow(self) -> Path:
        return self.state / "airflow"

    @property
    def spark_conf(self) -> Path:
        return self.state / "spark-conf"

    @property
    def spark_events(self) -> Path:
        return self.state / "spark-events"

    @property
    def yarn(self) -> Path:
        return self.state / "yarn"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def aws_config(self) -> Path:
        """An empty file instead of ~/.aws, which keeps the user's profiles out (Java's SDK refuses /dev/null)."""
        return self.state / "aws-config"

    @property
    def sockets(self) -> Path:
        """The folder for unix sockets; outside the state folder when that has a path too long for a socket."""
        inside = self.state / "run"
        if len(os.fsencode(inside / "supervisor.sock")) <= SOCKET_PATH_LIMIT:
            return inside
        digest = hashlib.sha256(os.fsencode(self.state)).hexdigest()[:12]
        return Path.home() / ".cache" / "fruits" / digest

    def url(self, server: str) -> str:
        """Return the address of a server, by its name in `ports`."""
        return f"http://127.0.0.1:{self.ports[server]}"

    @property
    def env(self) -> dict[str, str]:
        """Variables by which boto3, obstore, deltalake, Spark and our own code reach the services."""
        return {**self.aws_env, **self._common_env}

    @property
    def aws_env(self) -> dict[str, str]:
        """The keys, region and addresses of S3 and EMR: for every process but Airflow's, which has them in its connection."""
        return {
            "AWS_ACCESS_KEY_ID": self.secrets.s3_access_key,
            "AWS_SECRET_ACCESS_KEY": self.secrets.s3_secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL_S3": self.url("s3"),
            "AWS_ENDPOINT_URL_EMR": self.url("emr"),
            "AWS_ALLOW_HTTP": "true",  # obstore and deltalake refuse http:// without it
        }

    @property
    def _common_env(self) -> dict[str, str]:
        java_home = str(spark.java_home())
        path = [str(Path(sys.executable).parent), f"{java_home}/bin", os.environ.get("PATH") or os.defpath]
        return {
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": str(self.aws_config),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.aws_config),
            "FRUITS_BUCKET": self.bucket,
            "JAVA_HOME": java_home,
            "SPARK_HOME": str(spark.spark_home()),
            "SPARK_CONF_DIR": str(self.spark_conf),
            "PYTHONPATH": os.pathsep.join(map(str, (REPO, REPO / "plugins", REPO / "spark_apps"))),
            "PATH": os.pathsep.join(path),
            "NO_PROXY": LOOPBACK,
            "no_proxy": LOOPBACK,
        }

    @property
    def services_env(self) -> dict[str, str]:
        """What all services have in their environment; nothing of the user's own AWS set-up gets in."""
        # without SPT_NOENV Airflow's process titles are written over the mark
        return {**kept_variables(), **self._common_env, MARK: str(self.state), "SPT_NOENV": "1", "PYTHONUNBUFFERED": "1"}


def kept_variables() -> dict[str, str]:
    """Return the variables of this process that the services inherit."""
    return {name: os.environ[name] for name in KEPT if name in os.environ}
