"""Runs one stage by the embedded Spark, with the command that EMR receives, and removes what Spark's local cluster leaves."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks import commands
from benchmarks.embedded_services import SPARK_HOME
from benchmarks.results import CORES
from fruits.storage import Storage
from fruits_airflow.emr.steps import step
from fruits_contract import layout
from fruits_contract.manifest import Manifest
from fruits_contract.pipeline import RunParams, Stage

# Spark on one machine with the executor in its own process, as on a cluster, so that its memory can be told from the driver's;
# with local[*] it is part of the driver.
LOCAL_CLUSTER = {"spark.master": f"local-cluster[1,{CORES},4096]", "spark.executor.cores": str(CORES)}


@dataclass(frozen=True)
class FinishedStage:
    """A finished stage: its manifest, and the duration of the whole process, the start of Spark included."""

    manifest: Manifest
    process_s: float


def run_stage(
    stage: Stage, params: RunParams, *, conf: Mapping[str, str] | None = None, env: Mapping[str, str] | None = None
) -> FinishedStage:
    """Run a stage with further settings of Spark and environment variables."""
    argv = list(step(stage, params)["HadoopJarStep"]["Args"])
    settings = [word for name, value in (conf or {}).items() for word in ("--conf", f"{name}={value}")]
    position = argv.index("--py-files")  # after the step's own settings: the last of two wins
    argv[position:position] = settings
    done = commands.run(argv, env)
    manifest = Manifest.from_json(Storage(params.bucket).read(layout.manifest(params.run, stage.name)))
    return FinishedStage(manifest, done.seconds)


@contextmanager
def clean_worker_files() -> Iterator[None]:
    """Remove the files of `LOCAL_CLUSTER`'s workers after the body."""
    try:
        yield
    finally:
        shutil.rmtree(SPARK_HOME / "work", ignore_errors=True)
