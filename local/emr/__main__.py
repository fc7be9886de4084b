"""Start the stand-in: `python -m local.emr --port 8998 --state DIR --spark-conf DIR`."""

import argparse
import logging
from pathlib import Path

import uvicorn

from local.emr.operations import Emr
from local.emr.server import make_app

parser = argparse.ArgumentParser(
    description="A stand-in for Amazon EMR. Its clusters and steps are processes of this machine.",
    epilog="They inherit its environment: JAVA_HOME, SPARK_HOME, PATH, AWS_*. Logs go to AWS_ENDPOINT_URL_S3, if set.",
)
parser.add_argument("--port", type=int, required=True, help="TCP port of the service")
parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="for the clusters' files and logs")
parser.add_argument("--spark-conf", type=Path, required=True, metavar="DIR", help="copied into every cluster")
parser.add_argument("--host", default="127.0.0.1", help="default %(default)s; who reaches another runs programs here")

if __name__ == "__main__":
    arguments = parser.parse_args()
    if not arguments.spark_conf.is_dir():
        parser.error(f"--spark-conf {arguments.spark_conf}: no such folder; give one with a spark-defaults.conf")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    emr = Emr(arguments.state.resolve(), spark_conf=arguments.spark_conf.resolve())
    app = make_app(emr, is_local=arguments.host in ("127.0.0.1", "localhost", "::1"))
    uvicorn.run(app, host=arguments.host, port=arguments.port, log_level="warning", timeout_graceful_shutdown=1)
