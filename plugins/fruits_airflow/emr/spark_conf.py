"""Spark's configuration, each property with its reason: those of a step, and those that only the cluster's request can set.

A step names no master: the same step runs on EMR's YARN, on a local one and on `local[*]`, where Spark ignores what does not
apply.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class SparkProperty:
    """One property, its value, and the reason for it."""

    name: str
    value: str
    reason: str


# The memory of a core node: 2g + 3g for the executor and 512m + 384m for the application master are 6,016 of YARN's 6,144 MB.
STEP = (
    SparkProperty(
        "spark.driver.memory", "2g", "The driver plans, merges sums of 13 MB and writes the report; it holds no rows of features."
    ),
    SparkProperty("spark.executor.cores", "4", "One executor per node of 4 vCPU: the network is broadcast to it once."),
    SparkProperty(
        "spark.executor.memory",
        "2g",
        "Photos, network and features are in the Python workers; the heap only passes their results on.",
    ),
    SparkProperty(
        "spark.executor.memoryOverhead", "3g", "Four Python workers of about 500 MB, and what the JVM needs beside its heap."
    ),
    SparkProperty("spark.yarn.am.memory", "512m", "In client mode the application master only asks for containers."),
    SparkProperty(
        "spark.yarn.am.memoryOverhead",
        "384m",
        "Spark's minimum; explicit because the node's memory is allocated to the megabyte.",
    ),
    SparkProperty(
        "spark.executorEnv.OMP_NUM_THREADS", "1", "One computing thread per Spark core: the parallelism is in the tasks."
    ),
    SparkProperty(
        "spark.executorEnv.OPENBLAS_NUM_THREADS",
        "1",
        "The same for NumPy's linear algebra, which otherwise uses all cores in every task.",
    ),
    SparkProperty(
        "spark.executorEnv.TOKIO_WORKER_THREADS",
        "1",
        "obstore's threads only pass bytes on; switching between them costs a fifth of a GET.",
    ),
    SparkProperty(
        "spark.locality.wait",
        "0s",
        "Photos come from S3 and are local to no node: a free core must not wait for a local task.",
    ),
    SparkProperty(
        "spark.task.maxFailures",
        "4",
        "A bad photo is a reject and not a failure, so more attempts would only repeat a defect at a price.",
    ),
    SparkProperty("spark.speculation", "true", "A slow or failing node must not delay the whole step."),
    SparkProperty(
        "spark.speculation.quantile",
        "0.9",
        "Only at the end, when nine of ten tasks are done: a second copy costs as much as the first.",
    ),
    SparkProperty("spark.speculation.multiplier", "3", "And only for clear stragglers, three times as slow as the median task."),
    SparkProperty("spark.speculation.minTaskRuntime", "60s", "Never for short tasks, whose durations vary."),
    SparkProperty(
        "spark.executor.processTreeMetrics.enabled", "true", "The report shows the memory of the Python workers of each stage."
    ),
    SparkProperty("spark.executor.metrics.pollingInterval", "1s", "A stage of a small drop is over before the first heartbeat."),
)

# Classification, property, value, reason: for Configurations of RunJobFlow.
CLUSTER = {
    "yarn-site": (
        SparkProperty(
            "yarn.nodemanager.resource.cpu-vcores",
            "5",
            "4 for the executor and 1 for the application master, which hardly computes but takes a container on a core node.",
        ),
        SparkProperty(
            "yarn.nodemanager.resource.memory-mb",
            "6144",
            "Executor and application master fit on every type of the fleet, also on 8 GB, whatever EMR's default is there.",
        ),
        SparkProperty("yarn.scheduler.maximum-allocation-mb", "6144", "A container is never larger than a node."),
    ),
    "capacity-scheduler": (
        SparkProperty(
            "yarn.scheduler.capacity.resource-calculator",
            "org.apache.hadoop.yarn.util.resource.DominantResourceCalculator",
            "EMR's default counts memory only; so cores count as well, and a node never has more tasks than vCPU.",
        ),
    ),
}

# Properties that are deliberately not set, and why EMR's or Spark's default is right.
KEPT_DEFAULTS = (
    SparkProperty(
        "spark.dynamicAllocation.enabled",
        "true on EMR",
        "Executors come and go with the nodes, Spot or replaced; with one executor per node the number is the cluster's size.",
    ),
    SparkProperty(
        "spark.decommission.enabled",
        "false",
        "Apache Spark follows YARN's decommissioning only without the shuffle service, which dynamic allocation on EMR uses; EMR "
        "has its own handling, on by default. A lost node costs its running tasks: finished output is in S3, and shuffles are "
        "small.",
    ),
    SparkProperty(
        "spark.excludeOnFailure.enabled",
        "false",
        "On a cluster of one core node, the usual one, the first failed task would exclude its only executor and end the step.",
    ),
    SparkProperty(
        "spark.yarn.maxAppAttempts",
        "YARN's, 2",
        "The application master may be on a Spot node; in client mode a second one takes over while the driver goes on.",
    ),
)


def step_arguments() -> list[str]:
    """Return the properties of a step as arguments for spark-submit."""
    arguments: list[str] = []
    for item in STEP:
        arguments += ["--conf", f"{item.name}={item.value}"]
    return arguments


def classifications() -> list[dict[str, object]]:
    """Return the properties of the cluster in the form of RunJobFlow's Configurations."""
    return [{"Classification": name, "Properties": {item.name: item.value for item in items}} for name, items in CLUSTER.items()]
