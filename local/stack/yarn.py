"""A real YARN on this machine: ResourceManager and NodeManager from one jar, on the Hadoop that is part of pyspark."""

import re

from local import CACHE
from local.stack import jars, spark
from local.stack.stack import MARK, Stack

PREFERRED_PORTS = {
    "resource-manager": 8088,
    "resource-manager-clients": 8032,
    "resource-manager-scheduler": 8030,
    "resource-manager-tracker": 8031,
    "resource-manager-admin": 8033,
    "node-manager": 8042,
    "node-manager-containers": 8041,
    "node-manager-localizer": 8040,
}
CLASSES = {
    "resource-manager": "org.apache.hadoop.yarn.server.resourcemanager.ResourceManager",
    "node-manager": "org.apache.hadoop.yarn.server.nodemanager.NodeManager",
}
JAVA_OPTIONS = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
)
INHERITED = ("JAVA_HOME", "PATH", "LANG", "LC_ALL", "TZ", "NO_PROXY", "no_proxy", MARK)
SAFE_PATH = re.compile(r"[\w./+@-]+")


def check(stack: Stack) -> None:
    """Raise ValueError where a path holds characters that YARN's launch scripts, which do not quote, cannot take."""
    for path in (stack.state, CACHE, spark.spark_home(), spark.java_home()):
        if not SAFE_PATH.fullmatch(str(path)):
            raise ValueError(
                f"{path} cannot be used with SPARK=yarn; expected a path of letters, digits and ./+@_- only, because YARN's "
                "launch scripts do not quote: move the repository or $FRUITS_STATE, or use SPARK=local"
            )


def prepare(stack: Stack) -> None:
    """Add YARN to the configuration folder that `spark.write_config` wrote, and empty YARN's own folder."""
    spark.clear(stack.yarn)
    (stack.yarn / "tmp").mkdir()
    values = {name.upper().replace("-", "_"): str(port) for name, port in stack.ports.items()}
    values["YARN"] = str(stack.yarn)
    values["SPARK_HOME"] = str(spark.spark_home())
    values["INHERITED"] = ",".join([*INHERITED, *(name for name in stack.env if name.startswith("AWS_"))])
    (stack.spark_conf / "yarn-site.xml").write_text(spark.render("yarn-site.xml", values))
    with (stack.spark_conf / "spark-defaults.conf").open("a") as defaults:
        defaults.write(spark.render("spark-defaults-yarn.conf", values))


def command(stack: Stack, name: str) -> list[str]:
    """Return the command line of one of `CLASSES`."""
    class_path = [str(stack.spark_conf), f"{jars.folder_of('yarn')}/*", f"{spark.spark_home()}/jars/*"]
    return [
        str(spark.java_home() / "bin" / "java"),
        *JAVA_OPTIONS,
        f"-Djava.io.tmpdir={stack.yarn / 'tmp'}",
        f"-Dlog4j2.configurationFile={stack.spark_conf}/log4j2.properties",
        "-cp",
        ":".join(class_path),
        CLASSES[name],
    ]
