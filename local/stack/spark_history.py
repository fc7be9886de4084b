"""Spark's own history server, from pyspark's jars: it shows the event logs of all steps, on 127.0.0.1 only."""

from local.stack import spark
from local.stack.stack import Stack

CLASS = "org.apache.spark.deploy.history.HistoryServer"
PREFERRED_PORT = 18080
ENVIRONMENT = {"SPARK_LOCAL_IP": "127.0.0.1"}  # where it listens
JAVA_OPTIONS = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Djava.net.preferIPv4Stack=true",
)
# Logs are deleted when the server starts and once a day: those of a week ago, and the oldest of more than 500.
KEPT = "7d"
KEPT_LOGS = 500


def prepare(stack: Stack) -> None:
    """Make all steps write event logs: add that to the configuration folder that `spark.write_config` wrote."""
    with (stack.spark_conf / "spark-defaults.conf").open("a") as defaults:
        defaults.write(spark.render("spark-defaults-events.conf", {"SPARK_EVENTS": str(stack.spark_events)}))


def command(stack: Stack) -> list[str]:
    """Return the command line of the server."""
    properties = {
        "spark.history.fs.logDirectory": stack.spark_events,
        "spark.history.ui.port": stack.ports["spark-history"],
        # the port that the EMR service names, or none
        "spark.port.maxRetries": 0,
        "spark.history.fs.update.interval": "5s",
        "spark.history.fs.cleaner.enabled": "true",
        "spark.history.fs.cleaner.maxAge": KEPT,
        "spark.history.fs.cleaner.maxNum": KEPT_LOGS,
    }
    return [
        # its start must not delay Airflow's, nor its work the steps
        "nice",
        "-n10",
        str(spark.java_home() / "bin" / "java"),
        *JAVA_OPTIONS,
        *(f"-D{name}={value}" for name, value in properties.items()),
        f"-Dlog4j2.configurationFile={stack.spark_conf}/log4j2.properties",
        "-cp",
        f"{stack.spark_conf}:{spark.spark_home()}/jars/*",
        CLASS,
    ]
