"""Where things are on this machine, and what has to be remembered between two starts: ports and secrets.

It must not know what the services are or how they are started.
"""

import base64
import hashlib
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from local import REPO

SOCKET_PATH_LIMIT = 90  # the kernel takes 107 bytes; supervisor first binds the path with ".<pid>" added


@dataclass(frozen=True)
class Places:
    """The folders of the embedded default: `cache` can be fetched again, `state` is one installation's own."""

    cache: Path
    state: Path

    @classmethod
    def default(cls) -> "Places":
        """Return the folders below .fruits; $FRUITS_STATE names another state folder."""
        named = os.environ.get("FRUITS_STATE")
        return cls(REPO / ".fruits" / "cache", Path(named).resolve() if named else REPO / ".fruits" / "state")

    @property
    def tools(self) -> Path:
        return self.cache / "tools"

    @property
    def jars(self) -> Path:
        return self.cache / "jars"

    @property
    def extractor(self) -> Path:
        return self.cache / "extractor"

    @property
    def wheels(self) -> Path:
        return self.cache / "wheels"

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
    def yarn(self) -> Path:
        """What a YARN holds while it is up, its containers' logs included."""
        return self.state / "yarn"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def node(self) -> Path:
        return self.state / "node"

    @property
    def aws_config(self) -> Path:
        """An empty file that stands for ~/.aws, so that the user's profiles stay out (Java's SDK refuses /dev/null)."""
        return self.state / "aws-config"

    @property
    def services_file(self) -> Path:
        return self.state / "services.json"

    @property
    def sockets(self) -> Path:
        """The folder for unix sockets; outside the state folder when that has a path too long for a socket."""
        inside = self.state / "run"
        if len(os.fsencode(inside / "supervisor.sock")) <= SOCKET_PATH_LIMIT:
            return inside
        digest = hashlib.sha256(os.fsencode(self.state)).hexdigest()[:12]
        return Path.home() / ".cache" / "fruits" / digest

    def make(self) -> None:
        """Create the folders; what is in the state folder is for this user only, because it holds keys."""
        for folder in (
            self.s3,
            self.emr,
            self.airflow,
            self.spark_conf,
            self.yarn,
            self.logs,
            self.node,
            self.sockets,
            self.jars,
        ):
            folder.mkdir(parents=True, exist_ok=True)
        self.aws_config.touch()
        self.state.chmod(0o700)
        self.sockets.chmod(0o700)


@dataclass(frozen=True)
class Secrets:
    """Generated once per state folder: none of them opens anything outside this machine."""

    s3_access_key: str
    s3_secret_key: str
    airflow_password: str
    airflow_fernet_key: str
    airflow_jwt_secret: str
    airflow_api_secret: str

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
        )


@dataclass(frozen=True)
class Record:
    """What services.json holds: the ports of the last start, by name, the secrets, and what Spark ran on (`spark.MASTERS`)."""

    ports: dict[str, int]
    secrets: Secrets
    spark: str = "local"

    @classmethod
    def read(cls, places: Places) -> "Record | None":
        """Return the record, or None before the first start."""
        try:
            data = json.loads(places.services_file.read_text())
        except FileNotFoundError:
            return None
        try:
            return cls(data["ports"], Secrets(**data["secrets"]), data.get("spark", "local"))
        except (KeyError, TypeError) as error:
            raise SystemExit(
                f"{places.services_file} is not what this version writes ({error}); `make down`, delete the file "
                "and start again: new keys are made, the data stays"
            ) from error

    def write(self, places: Places) -> None:
        """Write services.json in one step, readable by this user only."""
        part = places.services_file.with_suffix(".part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(self), file, indent=1)
        part.replace(places.services_file)
