"""The environment variables of the embedded default, made from nothing: nothing of the user's AWS set-up leaks in."""

import os
import sys
from pathlib import Path

from local import REPO
from local.stack import spark
from local.stack.state import Places, Record

BUCKET = "fruits-local"
REGION = "eu-north-1"
LOOPBACK = "127.0.0.1,localhost"
KEPT = ("HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
# names that would take precedence over, or mix with, the variables below
FOREIGN = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ENDPOINT_URL")
# by this variable a process is known as one of ours, whoever its parent is by now
MARK = "FRUITS_SERVICES_OF"


def url(port: int) -> str:
    """Return the address of one of the services."""
    return f"http://127.0.0.1:{port}"


def client(places: Places, record: Record) -> dict[str, str]:
    """Return the variables by which boto3, obstore, deltalake, Spark and our own code reach the services."""
    java_home = str(spark.java_home())
    path = [str(Path(sys.executable).parent), f"{java_home}/bin", os.environ.get("PATH") or os.defpath]
    return {
        "AWS_ACCESS_KEY_ID": record.secrets.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": record.secrets.s3_secret_key,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_S3": url(record.ports["s3"]),
        "AWS_ENDPOINT_URL_EMR": url(record.ports["emr"]),
        "AWS_ALLOW_HTTP": "true",  # obstore and deltalake refuse http:// without it
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(places.aws_config),
        "AWS_SHARED_CREDENTIALS_FILE": str(places.aws_config),
        "FRUITS_BUCKET": BUCKET,
        "JAVA_HOME": java_home,
        "SPARK_HOME": str(spark.spark_home()),
        "SPARK_CONF_DIR": str(places.spark_conf),
        "PYTHONPATH": os.pathsep.join(map(str, (REPO, REPO / "plugins", REPO / "spark_apps"))),
        "PATH": os.pathsep.join(path),
        "NO_PROXY": LOOPBACK,
        "no_proxy": LOOPBACK,
    }


def services(places: Places, record: Record) -> dict[str, str]:
    """Return the whole environment of the services."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    # without SPT_NOENV Airflow's process titles are written over the mark
    return {**kept, **client(places, record), MARK: str(places.state), "SPT_NOENV": "1", "PYTHONUNBUFFERED": "1"}


def shell_lines(variables: dict[str, str]) -> list[str]:
    """Return lines for `eval` in any POSIX shell; what is foreign in this shell is unset."""
    quoted = {name: value.replace("'", "'\\''") for name, value in variables.items()}
    return [f"unset {name}" for name in FOREIGN if name in os.environ] + [
        f"export {name}='{value}'" for name, value in quoted.items()
    ]
