"""Expected duration and price of a run, and the cheapest cluster that meets its deadline, from measured speeds and `prices`."""

from dataclasses import dataclass

from fruits_airflow.emr.prices import (
    DISK_USD_PER_HOUR,
    INSTANCES,
    PRIMARIES,
    S3_GET_USD,
    S3_LIST_USD_PER_KEY,
    SPOT_SHARE,
    Instance,
)
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
# Added for the size of a photo: a JPEG of 12 megapixels, about 4 MB, takes 1/12 s to decode at reduced scale.
VCPU_S_PER_BYTE = 1 / 12 / 4_000_000
# fit, transform, validate and report: reading and multiplying rows of 1,280 numbers. An estimate, not a measurement.
OTHER_STAGES_VCPU_S_PER_PHOTO = 0.0005

# Independent of the size of the batch. Estimates: no run on AWS has been measured yet.
CLUSTER_START_S = 360  # from the request to the first bootstrap action
BOOTSTRAP_S = 45
SPARK_START_S = 20
CLUSTER_END_S = 30
FIXED_S = CLUSTER_START_S + BOOTSTRAP_S + len(FEATURES_PIPELINE.stages) * SPARK_START_S + CLUSTER_END_S


@dataclass(frozen=True, kw_only=True)
class Work:
    """The work of one run: the number of photos, their total size, and the engine."""

    photos: int
    size_bytes: int
    engine: str

    @property
    def vcpu_s(self) -> float:
        """Seconds on a single vCPU; linear in photos and bytes."""
        per_photo = 1 / PHOTOS_PER_S_AND_VCPU[self.engine] + OTHER_STAGES_VCPU_S_PER_PHOTO
        return self.photos * per_photo + self.size_bytes * VCPU_S_PER_BYTE

    @property
    def s3_usd(self) -> float:
        """Price of the S3 requests: one GET per photo, and LIST. The same for every cluster size."""
        return self.photos * (S3_GET_USD + S3_LIST_USD_PER_KEY)


@dataclass(frozen=True, kw_only=True)
class ClusterSize:
    """One on-demand primary node and `nodes` core nodes of one instance type."""

    core: Instance
    nodes: int

    def seconds(self, work: Work) -> float:
        """Return the duration of a run, from the request for the cluster to its end; the primary node runs no tasks."""
        return FIXED_S + work.vcpu_s / (self.nodes * self.core.vcpu)

    def usd_per_hour(self, *, spot: bool) -> float:
        """Return the price of the running cluster, including EMR's surcharge and disks."""
        primary_usd = PRIMARIES[0].on_demand_usd + PRIMARIES[0].emr_usd + DISK_USD_PER_HOUR
        ec2_usd = self.core.on_demand_usd * SPOT_SHARE if spot else self.core.on_demand_usd
        return primary_usd + self.nodes * (ec2_usd + self.core.emr_usd + DISK_USD_PER_HOUR)

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
