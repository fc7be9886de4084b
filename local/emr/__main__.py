"""Start the emulator: `python -m local.emr --port 8998 --state DIR --spark-conf DIR`."""

import argparse
import logging
from pathlib import Path

import uvicorn

from local.emr.operations import Emr
from local.emr.server import make_app

parser = argparse.ArgumentParser(
    prog="python -m local.emr",
    description="Emulate Amazon EMR on this machine. Bootstrap actions and steps run as child processes.",
    epilog="Child processes inherit the environment (JAVA_HOME, SPARK_HOME, PATH, AWS_*). "
    "Scripts are read from S3 and logs are written to S3 at AWS_ENDPOINT_URL_S3, or on AWS if it is not set.",
)
parser.add_argument("--port", type=int, required=True, help="TCP port to listen on")
parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="folder for the files and logs of all clusters")
parser.add_argument("--spark-conf", type=Path, required=True, metavar="DIR", help="SPARK_CONF_DIR to copy into each cluster")
parser.add_argument("--spark-history", default="", metavar="URL", help="address of a Spark history server")
parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s); its clients run programs here")

if __name__ == "__main__":
    arguments = parser.parse_args()
    if not arguments.spark_conf.is_dir():
        parser.error(f"--spark-conf {arguments.spark_conf}: no such folder; expected one with a spark-defaults.conf")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    emr = Emr(arguments.state.resolve(), spark_conf=arguments.spark_conf.resolve(), spark_history=arguments.spark_history)
    app = make_app(emr, is_local=arguments.host in ("127.0.0.1", "localhost", "::1"))
    uvicorn.run(app, host=arguments.host, port=arguments.port, log_level="warning", timeout_graceful_shutdown=1)
