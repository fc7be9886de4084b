"""A real YARN on this machine: ResourceManager and NodeManager from one jar, on the Hadoop that Spark carries.

It must not know what runs on it.
"""

import re

from local.stack import environment, spark
from local.stack.state import Places, Record

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
INHERITED = ("JAVA_HOME", "PATH", "LANG", "LC_ALL", "TZ", "NO_PROXY", "no_proxy", environment.MARK)
SAFE_PATH = re.compile(r"[\w./+@-]+")


def check(places: Places) -> None:
    """Raise ValueError where a path holds what YARN's launch scripts, which do not quote, would trip over."""
    for path in (places.state, places.cache, spark.spark_home(), spark.java_home()):
        if not SAFE_PATH.fullmatch(str(path)):
            raise ValueError(
                f"{path} cannot be used with SPARK=yarn; expected a path of letters, digits and ./+@_- only, because YARN's "
                "launch scripts do not quote: move the repository or $FRUITS_STATE, or use SPARK=local"
            )


def prepare(places: Places, record: Record) -> None:
    """Add YARN to the configuration folder that `spark.write_config` wrote, and begin with an empty folder of its own."""
    spark.clear(places.yarn)
    (places.yarn / "tmp").mkdir()
    values = {name.upper().replace("-", "_"): str(port) for name, port in record.ports.items()}
    keys = [name for name in environment.client(places, record) if name.startswith("AWS_")]
    values |= {"YARN": str(places.yarn), "SPARK_HOME": str(spark.spark_home()), "INHERITED": ",".join([*INHERITED, *keys])}
    (places.spark_conf / "yarn-site.xml").write_text(spark.render("yarn-site.xml", values))
    with (places.spark_conf / "spark-defaults.conf").open("a") as defaults:
        defaults.write(spark.render("spark-defaults-yarn.conf", values))


def command(places: Places, name: str) -> list[str]:
    """Return the command line of one of `CLASSES`."""
    class_path = [str(places.spark_conf), f"{spark.jars(places, 'yarn')}/*", f"{spark.spark_home()}/jars/*"]
    options = [
        *JAVA_OPTIONS,
        f"-Djava.io.tmpdir={places.yarn}/tmp",
        f"-Dlog4j2.configurationFile={places.spark_conf}/log4j2.properties",
    ]
    return [str(spark.java_home() / "bin" / "java"), *options, "-cp", ":".join(class_path), CLASSES[name]]
