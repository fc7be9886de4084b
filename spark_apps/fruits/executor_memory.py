"""The peak memory of the Python workers, as Spark measures it on the executors."""

from typing import Any

from pyspark import SparkContext


def peak_python_memory_mb(context: SparkContext) -> int | None:
    """Return the largest peak of the Python processes of one executor, together, in MB; None where Spark has measured none.

    `spark.executor.processTreeMetrics.enabled` must be set. Spark reads the process tree every
    `spark.executor.metrics.pollingInterval` and sums resident memory, pages that forked workers share counted for each of them.
    Under a local master the tree holds the driver's Python as well.
    """
    # The JVM's own store: PySpark has no call for it, and the REST API needs Spark's UI.
    executors: Any = context._jsc.sc().statusStore().executorList(False)
    peaks = []
    for number in range(executors.size()):
        metrics = executors.apply(number).peakMemoryMetrics()
        if metrics.isDefined():
            peaks.append(metrics.get().getMetricValue("ProcessTreePythonRSSMemory"))
    if not peaks:
        return None
    return round(max(peaks) / 1e6) or None
