"""Expected duration and price of a run, and the cheapest cluster that meets its deadline, from measured speeds and `prices`."""

from dataclasses import dataclass
from typing import Protocol

from fruits_airflow.emr.prices import (
    DISK_USD_PER_HOUR,
    INSTANCES,
    PRIMARIES,
    S3_GET_USD,
    S3_LIST_USD_PER_KEY,
    Instance,
)
from fruits_contract.classifier_pipeline import CLASSIFIER_PIPELINE
from fruits_contract.features_pipeline import FEATURES_PIPELINE

# Photos per second that featurize processes on one vCPU, from S3 to Parquet, 100x100 JPEGs: `make bench-featurize` on two vCPUs
# that share one core, rounded down; a test compares them with docs/performance/featurize.json. `tensorflow` has not been measured
# there: it is assumed to be no faster than the notebook.
PHOTOS_PER_S_AND_VCPU = {
    "litert": 70.0,
    "auto": 70.0,
    "openvino": 65.0,
    "tensorflow": 15.0,
}
# What a vCPU does that is a whole core, over one of a core's two threads. An assumption: on the machine measured, one thread runs
# the network 190 to 232 times a second with a core to itself, and two threads of a core 300 times together.
WHOLE_CORE_SPEED = 1.4
# Added for the size of a photo: a JPEG of 12 megapixels, about 4 MB, takes 1/12 s to decode at reduced scale.
VCPU_S_PER_BYTE = 1 / 12 / 4_000_000
# fit, transform, validate and report: reading and multiplying rows of 1,280 numbers. An estimate, not a measurement.
OTHER_STAGES_VCPU_S_PER_PHOTO = 0.0005

# Independent of the size of the batch. Estimates: no run on AWS has been measured yet.
CLUSTER_START_S = 360  # from the request to the first bootstrap action
BOOTSTRAP_S = 45
SPARK_START_S = 20
CLUSTER_END_S = 30

# An estimate: 67,692 rows take 2 minutes on 2 vCPUs (make bench-training).
TRAINING_VCPU_S_PER_ROW = 0.004


class Work(Protocol):
    """What a run has to do."""

    @property
    def spark_starts(self) -> int:
        """How often Spark starts: once per stage."""

    @property
    def vcpu_s(self) -> float:
        """Seconds on a single vCPU."""

    @property
    def s3_usd(self) -> float:
        """Price of the requests to S3, the same for every cluster size."""


@dataclass(frozen=True, kw_only=True)
class FeaturizingWork:
    """The work of a run of `fruits_features`.

    Parameters
    ----------
    photos
        New ones.
    size_bytes
        Of all new photos together.
    gets
        Requests that read them: one per object, or one per range of a shard.
    retained
        Published rows that a fit reads and projects again; 0 for a transform.
    """

    photos: int
    size_bytes: int
    engine: str
    gets: int
    retained: int = 0

    @property
    def spark_starts(self) -> int:
        """The number of stages."""
        return len(FEATURES_PIPELINE.stages)

    @property
    def vcpu_s(self) -> float:
        """Seconds on a single vCPU; linear in photos, bytes and retained rows."""
        featurize_s = self.photos / PHOTOS_PER_S_AND_VCPU[self.engine] + self.size_bytes * VCPU_S_PER_BYTE
        return featurize_s + (self.photos + self.retained) * OTHER_STAGES_VCPU_S_PER_PHOTO

    @property
    def s3_usd(self) -> float:
        """Price of the GETs, and of a LIST of as many keys."""
        return self.gets * (S3_GET_USD + S3_LIST_USD_PER_KEY)


@dataclass(frozen=True, kw_only=True)
class TrainingWork:
    """The work of a run of `fruits_classifier`, on so many rows of features; its requests to S3 cost next to nothing."""

    rows: int
    s3_usd: float = 0.0

    @property
    def spark_starts(self) -> int:
        """The number of stages."""
        return len(CLASSIFIER_PIPELINE.stages)

    @property
    def vcpu_s(self) -> float:
        """Seconds on a single vCPU."""
        return self.rows * TRAINING_VCPU_S_PER_ROW


def fixed_s(work: Work) -> int:
    """Return the seconds of a run that no node makes shorter."""
    return CLUSTER_START_S + BOOTSTRAP_S + work.spark_starts * SPARK_START_S + CLUSTER_END_S


@dataclass(frozen=True, kw_only=True)
class ClusterSize:
    """One primary node and `nodes` of one instance type that run tasks: a core node, on-demand, and Spot task nodes."""

    core: Instance
    nodes: int

    @property
    def vcpu(self) -> float:
        """The vCPUs that run tasks, in threads of the machine measured."""
        return self.nodes * self.core.vcpu * (WHOLE_CORE_SPEED if self.core.is_whole_core else 1)

    def seconds(self, work: Work) -> float:
        """Return the duration of a run, from the request for the cluster to its end; the primary node runs no tasks."""
        return fixed_s(work) + work.vcpu_s / self.vcpu

    def usd_per_hour(self, *, spot: bool) -> float:
        """Return the price of the running cluster, including EMR's surcharge and disks."""
        task_usd = self.core.spot_usd if spot else self.core.on_demand_usd
        ec2_usd = PRIMARIES[0].on_demand_usd + self.core.on_demand_usd + (self.nodes - 1) * task_usd
        emr_usd = PRIMARIES[0].emr_usd + self.nodes * self.core.emr_usd
        return ec2_usd + emr_usd + (1 + self.nodes) * DISK_USD_PER_HOUR

    def usd(self, work: Work, *, spot: bool) -> float:
        """Return the price of a run, without S3."""
        return self.usd_per_hour(spot=spot) * self.seconds(work) / 3600


def cheapest(work: Work, *, deadline_s: int, max_nodes: int) -> ClusterSize:
    """Return the cheapest size (at Spot prices) that meets the deadline.

    If even `max_nodes` are too slow, return the fastest size, and the cheapest of equally fast ones: the caller compares
    `seconds` with the deadline.
    """
    sizes = [ClusterSize(core=core, nodes=nodes) for core in INSTANCES for nodes in range(1, max_nodes + 1)]
    in_time = [size for size in sizes if size.seconds(work) <= deadline_s]
    if in_time:
        return min(in_time, key=lambda size: (size.usd(work, spot=True), size.nodes))
    return min(sizes, key=lambda size: (size.seconds(work), size.usd(work, spot=True)))
