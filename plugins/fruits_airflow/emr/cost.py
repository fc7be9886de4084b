"""From a batch and a deadline to the cheapest cluster that keeps it, with its minutes and dollars.

Pure arithmetic over measured speeds and `prices`. It must not know EMR's API, settings or S3.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fruits_airflow.emr.prices import (
    CHECKED_AGAINST_AWS,
    DATED,
    DISK_USD_PER_HOUR,
    INSTANCES,
    PRIMARIES,
    REGION,
    S3_GET_USD,
    S3_LIST_USD_PER_KEY,
    SPOT_SHARE,
    Instance,
)
from fruits_contract.pipelines import STAGES

# Photos per second that featurize turns into features on one vCPU, from S3 to Parquet, 100x100 JPEGs: `make bench-featurize`, on
# two vCPUs that share one core, rounded down; a test holds them to docs/performance/featurize.json. bfloat16 was not measured
# and is taken for no faster than float32, `tensorflow` for no faster than the notebook's pattern.
PHOTOS_PER_S_AND_VCPU = {
    "litert": 70.0,
    "auto": 70.0,
    "openvino": 65.0,
    "openvino-bfloat16": 65.0,
    "tensorflow": 15.0,
}
# On top of that, for a photo's size: a JPEG of 12 megapixels, about 4 MB, takes 1/12 s to decode in reduced scale.
VCPU_S_PER_BYTE = 1 / 12 / 4_000_000
# fit, transform, validate and report: reading and multiplying rows of 1,280 numbers. An estimate, not a measurement.
OTHER_STAGES_VCPU_S_PER_PHOTO = 0.0005

# What passes however small the batch is. Estimates: it has not been run on AWS yet.
CLUSTER_START_S = 360  # from the request to the first bootstrap action
BOOTSTRAP_S = 45
SPARK_START_S = 20
CLUSTER_END_S = 30
FIXED_S = CLUSTER_START_S + BOOTSTRAP_S + len(STAGES) * SPARK_START_S + CLUSTER_END_S


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is to be done: number of photos, their bytes in all, and the engine that does it."""

    photos: int
    size_bytes: int
    engine: str

    @property
    def vcpu_s(self) -> float:
        """How long one vCPU would take; linear in photos and bytes."""
        per_photo = 1 / PHOTOS_PER_S_AND_VCPU[self.engine] + OTHER_STAGES_VCPU_S_PER_PHOTO
        return self.photos * per_photo + self.size_bytes * VCPU_S_PER_BYTE

    @property
    def s3_usd(self) -> float:
        """What S3 asks for one GET per photo and for listing them, whatever the cluster."""
        return self.photos * (S3_GET_USD + S3_LIST_USD_PER_KEY)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """One on-demand primary node and `nodes` core nodes of one type."""

    core: Instance
    nodes: int

    def seconds(self, work: Work) -> float:
        """How long the run takes, from asking for the cluster to its end; the primary node does not compute."""
        return FIXED_S + work.vcpu_s / (self.nodes * self.core.vcpu)

    def usd_per_hour(self, *, spot: bool) -> float:
        """Return what the running cluster costs, EMR's surcharge and disks included."""
        primary = PRIMARIES[0].on_demand_usd + PRIMARIES[0].emr_usd + DISK_USD_PER_HOUR
        ec2_usd = self.core.on_demand_usd * (SPOT_SHARE if spot else 1)
        return primary + self.nodes * (ec2_usd + self.core.emr_usd + DISK_USD_PER_HOUR)

    def usd(self, work: Work, *, spot: bool) -> float:
        """Return what a run costs on it, without S3."""
        return self.usd_per_hour(spot=spot) * self.seconds(work) / 3600


def cheapest(work: Work, *, deadline_s: int, max_nodes: int) -> Cluster:
    """Return the cheapest cluster (at Spot prices) that does the work in time.

    When even `max_nodes` are too slow, the fastest is returned, and of equally fast ones the cheapest: the caller compares
    `seconds` with the deadline and says so.
    """
    possible = [Cluster(core=core, nodes=nodes) for core in INSTANCES for nodes in range(1, max_nodes + 1)]
    in_time = [cluster for cluster in possible if cluster.seconds(work) <= deadline_s]
    if in_time:
        return min(in_time, key=lambda cluster: (cluster.usd(work, spot=True), cluster.nodes))
    return min(possible, key=lambda cluster: (cluster.seconds(work), cluster.usd(work, spot=True)))


AIM_USD = 0.25
SMALL_PHOTO_BYTES = 5_700  # the mean of 4,320 of Fruits-360's 100x100 JPEGs
LARGE_PHOTO_BYTES = 4_000_000


def explain(*, engine: str = "litert", deadline_s: int = 7200, max_nodes: int = 10) -> str:
    """Return the cost of a million photos with its arithmetic, as Markdown; every figure is computed from the tables."""
    work = Work(photos=1_000_000, size_bytes=1_000_000 * SMALL_PHOTO_BYTES, engine=engine)
    best = cheapest(work, deadline_s=deadline_s, max_nodes=max_nodes)
    spot_usd, on_demand_usd = (best.usd(work, spot=spot) for spot in (True, False))
    verdict = "within" if spot_usd <= AIM_USD else "above"
    parts = [
        "## What a million photos cost",
        f"A batch of a million photos of 100x100 pixels ({SMALL_PHOTO_BYTES:,} bytes each), engine `{engine}`, on the cheapest "
        f"cluster that is done within {deadline_s / 3600:g} hours with at most {max_nodes} core nodes: **{spot_usd:.2f} USD** "
        f"with Spot core nodes ({verdict} the aim of {AIM_USD} USD), **{on_demand_usd:.2f} USD** when there is no Spot capacity "
        f"and all nodes are on-demand. S3's requests are another {work.s3_usd:.2f} USD, whatever does the work. The best "
        "published run of this job on EMR took 23.6 EUR.",
        "This is a model. The speed is measured, on one machine; the times of EMR and the share of Spot are estimates, and it "
        f"has not been run on AWS yet. Prices are those of {REGION} as of {DATED}, without tax"
        + ("." if CHECKED_AGAINST_AWS else "; none could be checked against AWS when the table was made."),
        "### The arithmetic",
        _table(("what", "from", "value"), _arithmetic(work, best)),
        "### By size of the batch",
        "The start of a cluster is paid once, so large batches are cheaper per photo.",
        _table(
            (
                "photos",
                "bytes of one",
                "core nodes",
                "minutes",
                "USD, Spot",
                "USD, on-demand",
                "USD of S3",
                "USD per million, Spot",
            ),
            [
                _row(Work(photos=photos, size_bytes=photos * size, engine=engine), deadline_s, max_nodes)
                for photos, size in _BATCHES
            ],
        ),
        "### Prices",
        f"Dollars per hour, billed by the second with at least one minute. Spot: {SPOT_SHARE:.0%} of EC2's on-demand price. "
        f"Disks: {DISK_USD_PER_HOUR:.4f} per node.",
        _table(
            ("type", "vCPU", "EC2, on-demand", "EMR", "source of EC2's price"),
            [(i.name, f"{i.vcpu}", f"{i.on_demand_usd:.4f}", f"{i.emr_usd:.4f}", i.source) for i in INSTANCES],
        ),
        "Not in it: storage, logs, KMS, Airflow itself, repeated work after Spot nodes were taken back, and the features of "
        "earlier drops that a fit reads again.",
    ]
    return "\n\n".join(parts) + "\n"


_BATCHES = (
    *((photos, SMALL_PHOTO_BYTES) for photos in (1_000, 10_000, 100_000, 1_000_000, 10_000_000)),
    *((photos, LARGE_PHOTO_BYTES) for photos in (10_000, 100_000)),
)


def _arithmetic(work: Work, best: Cluster) -> list[tuple[str, str, str]]:
    rate, cores = PHOTOS_PER_S_AND_VCPU[work.engine], best.nodes * best.core.vcpu
    stages_s = work.photos * OTHER_STAGES_VCPU_S_PER_PHOTO
    bytes_s = work.size_bytes * VCPU_S_PER_BYTE
    primary = f"{PRIMARIES[0].on_demand_usd} + {PRIMARIES[0].emr_usd} + {DISK_USD_PER_HOUR:.4f}"
    core = f"({best.core.on_demand_usd} x {SPOT_SHARE} + {best.core.emr_usd} + {DISK_USD_PER_HOUR:.4f})"
    start = f"{CLUSTER_START_S} + {BOOTSTRAP_S} + {len(STAGES)} x {SPARK_START_S} + {CLUSTER_END_S}"
    return [
        ("featurize", f"{work.photos:,} photos / {rate:g} photos per second and vCPU", f"{work.photos / rate:,.0f} vCPU seconds"),
        ("decoding, by bytes", f"{work.size_bytes:,} bytes x {VCPU_S_PER_BYTE * 1e9:.1f} ns", f"{bytes_s:,.0f} vCPU seconds"),
        ("other stages", f"{work.photos:,} photos x {OTHER_STAGES_VCPU_S_PER_PHOTO * 1e3:g} ms", f"{stages_s:,.0f} vCPU seconds"),
        (
            "computing",
            f"{work.vcpu_s:,.0f} vCPU seconds / {best.nodes} {best.core.name} of {best.core.vcpu} vCPU",
            f"{work.vcpu_s / cores:,.0f} s",
        ),
        ("start of the cluster, bootstrap, start of Spark in each stage, end", f"{start} s", f"{FIXED_S} s"),
        (
            "the run",
            f"{FIXED_S} + {work.vcpu_s / cores:,.0f} s",
            f"{best.seconds(work):,.0f} s = {best.seconds(work) / 60:.1f} min",
        ),
        ("the cluster's hour", f"{primary} + {best.nodes} x {core} USD", f"{best.usd_per_hour(spot=True):.4f} USD"),
        (
            "**the cluster**",
            f"{best.usd_per_hour(spot=True):.4f} USD x {best.seconds(work):,.0f} / 3600",
            f"**{best.usd(work, spot=True):.3f} USD**",
        ),
        (
            "S3",
            f"{work.photos:,} GETs x {S3_GET_USD * 1000:.4f} USD per 1,000, and listing",
            f"{work.s3_usd:.3f} USD",
        ),
    ]


def _row(work: Work, deadline_s: int, max_nodes: int) -> tuple[str, ...]:
    best = cheapest(work, deadline_s=deadline_s, max_nodes=max_nodes)
    late = "" if best.seconds(work) <= deadline_s else ", too late"
    usd = best.usd(work, spot=True)
    return (
        *(f"{work.photos:,}", f"{work.size_bytes // work.photos:,}", f"{best.nodes}", f"{best.seconds(work) / 60:.0f}{late}"),
        *(f"{usd:.3f}", f"{best.usd(work, spot=False):.3f}", f"{work.s3_usd:.3f}", f"{usd / work.photos * 1e6:.2f}"),
    )


def _table(heading: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heading, ("---",) * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
