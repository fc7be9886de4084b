"""Starts the EMR service in its container: Spark's configuration for the S3 that the environment names, then `local.emr`.

It must not know where S3 is but by AWS_ENDPOINT_URL_S3.
"""

import os
import sys

from local import REPO
from local.compose import EMR_STATE
from local.stack import spark
from local.stack.state import Places

PORT = 8344


def main() -> None:
    """Become the service."""
    places = Places(REPO / ".fruits" / "cache", EMR_STATE)
    for folder in (places.emr, places.spark_conf):
        folder.mkdir(parents=True, exist_ok=True)
    spark.write_config(places, s3_endpoint=os.environ["AWS_ENDPOINT_URL_S3"])
    java_home = spark.java_home()
    os.environ |= {
        "JAVA_HOME": str(java_home),
        "SPARK_HOME": str(spark.spark_home()),
        "SPARK_CONF_DIR": str(places.spark_conf),
        "PATH": f"{java_home}/bin:{os.environ['PATH']}",
    }
    words = ["--host", "0.0.0.0", "--port", str(PORT), "--state", str(places.emr), "--spark-conf", str(places.spark_conf)]
    os.execv(sys.executable, [sys.executable, "-m", "local.emr", *words])


if __name__ == "__main__":
    main()
