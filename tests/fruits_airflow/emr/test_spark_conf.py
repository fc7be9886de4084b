"""Each Spark setting is made once, executors fit on a core node, and the same step runs on a laptop."""

import re
from collections.abc import Iterator

import pytest

from fruits_airflow.emr import spark_conf
from fruits_airflow.emr.cluster import job_flow
from fruits_airflow.emr.prices import INSTANCES
from fruits_airflow.settings import Settings
from fruits_contract.features_pipeline import FeaturesRunParams

STEP = {line.name: line.value for line in spark_conf.STEP}
CLUSTER = {line.name: line.value for lines in spark_conf.CLUSTER.values() for line in lines}


def mebibytes(size: str) -> int:
    return int(size[:-1]) * {"m": 1, "g": 1024}[size[-1]]


@pytest.fixture
def configurations(settings: Settings, params: FeaturesRunParams) -> dict[str, dict[str, str]]:
    """The properties in the request for the cluster, by classification."""
    requested = job_flow(settings, params, nodes=1)["Configurations"]
    found = {item["Classification"]: item["Properties"] for item in requested}
    assert len(found) == len(requested), "EMR refuses a classification that comes twice"
    return found


def names() -> Iterator[str]:
    for lines in (spark_conf.STEP, *spark_conf.CLUSTER.values(), spark_conf.KEPT_DEFAULTS):
        yield from (line.name for line in lines)


def test_no_setting_is_made_twice(configurations: dict[str, dict[str, str]]) -> None:
    everything = [*names(), *configurations["spark-defaults"]]
    assert len(everything) == len(set(everything))


def test_every_setting_has_its_reason() -> None:
    for lines in (spark_conf.STEP, *spark_conf.CLUSTER.values(), spark_conf.KEPT_DEFAULTS):
        for line in lines:
            assert line.value
            assert re.search(r"[.]$", line.reason), line.name


def test_a_step_has_every_setting_as_conf() -> None:
    arguments = spark_conf.step_arguments()
    assert arguments[::2] == ["--conf"] * len(STEP)
    assert dict(argument.split("=", 1) for argument in arguments[1::2]) == STEP


def test_the_request_has_every_setting_of_the_cluster(configurations: dict[str, dict[str, str]]) -> None:
    for name, lines in spark_conf.CLUSTER.items():
        assert configurations[name] == {line.name: line.value for line in lines}


def test_a_step_names_no_master_and_no_path() -> None:
    """Or it would not run unchanged on `local[*]` and on another YARN."""
    assert not [name for name in STEP if re.search(r"master|endpoint|deployMode|instances|dynamicAllocation|jars|python", name)]
    assert not [value for value in STEP.values() if "/" in value or "://" in value]


def test_executor_and_application_master_fit_together_on_the_smallest_node() -> None:
    executor = mebibytes(STEP["spark.executor.memory"]) + mebibytes(STEP["spark.executor.memoryOverhead"])
    master = mebibytes(STEP["spark.yarn.am.memory"]) + mebibytes(STEP["spark.yarn.am.memoryOverhead"])
    granted = int(CLUSTER["yarn.nodemanager.resource.memory-mb"])
    assert executor + master <= granted
    assert 2 * executor > granted, "two executors would be eight tasks on four vCPU"
    assert executor <= int(CLUSTER["yarn.scheduler.maximum-allocation-mb"]) <= granted
    assert granted <= min(item.memory_gb for item in INSTANCES) * 1024 - 2 * 1024, "the system and the daemons need 2 GB"


def test_cores_of_executor_and_application_master_fit_together() -> None:
    cores = int(STEP["spark.executor.cores"])
    assert cores == min(item.vcpu for item in INSTANCES)
    assert cores + 1 == int(CLUSTER["yarn.nodemanager.resource.cpu-vcores"]) < 2 * cores
