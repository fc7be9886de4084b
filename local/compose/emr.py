"""Starts the EMR service in its container: Spark's configuration for the S3 that AWS_ENDPOINT_URL_S3 names, then `local.emr`."""

import os
import sys

from local.compose import EMR_STATE
from local.stack import spark

PORT = 8344


def main() -> None:
    """Become the service."""
    conf = EMR_STATE / "spark-conf"
    spark.write_config(conf, s3_endpoint=os.environ["AWS_ENDPOINT_URL_S3"])
    java_home = spark.java_home()
    os.environ |= {
        "JAVA_HOME": str(java_home),
        "SPARK_HOME": str(spark.spark_home()),
        "SPARK_CONF_DIR": str(conf),
        "PATH": f"{java_home}/bin:{os.environ['PATH']}",
    }
    argv = ["--host", "0.0.0.0", "--port", str(PORT), "--state", str(EMR_STATE / "emr"), "--spark-conf", str(conf)]
    os.execv(sys.executable, [sys.executable, "-m", "local.emr", *argv])


if __name__ == "__main__":
    main()
