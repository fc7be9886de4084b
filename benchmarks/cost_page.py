"""The cost section of docs/performance.md: what a million photos cost, by the model in `fruits_airflow.emr.cost`."""

import math
from dataclasses import dataclass

from benchmarks.results import markdown_table
from fruits_airflow.emr.cost import (
    BOOTSTRAP_S,
    CLUSTER_END_S,
    CLUSTER_START_S,
    OTHER_STAGES_VCPU_S_PER_PHOTO,
    PHOTOS_PER_S_AND_VCPU,
    SPARK_START_S,
    VCPU_S_PER_BYTE,
    WHOLE_CORE_SPEED,
    ClusterSize,
    FeaturizingWork,
    cheapest,
    fixed_s,
)
from fruits_airflow.emr.prices import (
    CATALOGUE,
    DATED,
    DISK_USD_PER_HOUR,
    INSTANCES,
    PRIMARIES,
    REGION,
    S3_GET_USD,
    S3_PUT_USD,
)
from fruits_contract.features_pipeline import FEATURES_PIPELINE
from fruits_contract.shards import RANGE_BYTES, SHARD_BYTES, UPLOAD_PART_BYTES

AIM_USD, LIMIT_USD = 0.25, 0.35
ENGINE = "litert"
DEADLINE_S = 7200
MAX_NODES = 10
SMALL_PHOTO_BYTES = 5_700  # the mean of 4,320 of Fruits-360's 100x100 JPEGs
LARGE_PHOTO_BYTES = 4_000_000
TAR_BLOCK = 512
BATCHES = (
    (1_000, SMALL_PHOTO_BYTES),
    (10_000, SMALL_PHOTO_BYTES),
    (100_000, SMALL_PHOTO_BYTES),
    (1_000_000, SMALL_PHOTO_BYTES),
    (10_000_000, SMALL_PHOTO_BYTES),
    (10_000, LARGE_PHOTO_BYTES),
    (100_000, LARGE_PHOTO_BYTES),
)


@dataclass(frozen=True, kw_only=True)
class Requests:
    """The requests to S3 for a batch: PUTs of its upload, GETs of its run."""

    puts: int
    gets: int

    @classmethod
    def of_objects(cls, photos: int) -> "Requests":
        """Return those of one object per photo."""
        return cls(puts=photos, gets=photos)

    @classmethod
    def of_shards(cls, photos: int, photo_bytes: int) -> "Requests":
        """Return those of shards: each is begun, sent in parts and completed, and has an index; it is read in ranges."""
        member_bytes = TAR_BLOCK * (1 + math.ceil(photo_bytes / TAR_BLOCK))
        shards = math.ceil(photos * member_bytes / SHARD_BYTES)
        parts = shards * math.ceil(SHARD_BYTES / UPLOAD_PART_BYTES)
        ranges = math.ceil(photos * member_bytes / RANGE_BYTES) + shards
        return cls(puts=parts + 3 * shards, gets=ranges + shards)

    @property
    def upload_usd(self) -> float:
        """Price of the upload."""
        return self.puts * S3_PUT_USD


def cost_section() -> str:
    """Return the section; every figure in it is computed."""
    photos, photo_bytes = 1_000_000, SMALL_PHOTO_BYTES
    objects, shards = Requests.of_objects(photos), Requests.of_shards(photos, photo_bytes)
    work, size = _run(photos, photo_bytes, gets=shards.gets)
    packed_usd, objects_usd = (_total_usd(photos, photo_bytes, requests) for requests in (shards, objects))
    verdict = f"within the {LIMIT_USD} USD allowed, " if packed_usd <= LIMIT_USD else f"above the {LIMIT_USD} USD allowed, "
    verdict += f"{'within' if packed_usd <= AIM_USD else 'above'} the {AIM_USD} USD aimed at"
    parts = [
        "## Cost of a million photos",
        f"A batch of a million photos of 100x100 pixels ({photo_bytes:,} bytes each), engine `{ENGINE}`, on the cheapest cluster "
        f"that finishes within {DEADLINE_S / 3600:g} hours with at most {MAX_NODES} core and task nodes, all requests to S3 for "
        f"upload and run included: **{packed_usd:.2f} USD packed** ({verdict}), **{objects_usd:.2f} USD as single objects**. "
        f"The cluster is {size.usd(work, spot=True):.2f} USD of it, {size.usd(work, spot=False):.2f} USD where there is no Spot "
        "capacity. The best published run of this job on EMR cost 23.6 EUR.",
        "This is a model. The speed is measured, on one machine; the startup times of EMR are estimates, and no run on AWS has "
        f"been measured yet. A vCPU of c7a and m7a is a whole core and is assumed to do {WHOLE_CORE_SPEED} times the work of one "
        f"of a core's two threads. Prices are those of {REGION} as of {DATED}, without tax; they have not been checked against "
        "AWS.",
        markdown_table(
            ("USD", "upload", "reading", "cluster", "sum"),
            [_costs("packed", work, size, shards), _costs("single objects", *_run(photos, photo_bytes, gets=photos), objects)],
        ),
        "### Calculation",
        markdown_table(("quantity", "calculation", "result"), _calculation(work, size, shards)),
        "### By batch size",
        "A cluster's startup is paid once, so large batches cost less per photo. USD per million: cluster, upload and reading.",
        markdown_table(
            (
                "photos",
                "bytes each",
                "nodes",
                "minutes",
                "cluster, Spot",
                "cluster, on-demand",
                "USD per million, packed",
                "USD per million, single",
            ),
            [_row(*batch) for batch in BATCHES],
        ),
        "### Prices",
        "USD per hour, billed by the second with a minimum of one minute. EC2's are from "
        f"{CATALOGUE}; Spot is the mean of its three zones there. Disks: {DISK_USD_PER_HOUR:.4f} per node.",
        markdown_table(
            ("type", "vCPU", "whole cores", "EC2, on-demand", "EC2, Spot", "EMR"),
            [
                (
                    item.name,
                    str(item.vcpu),
                    "yes" if item.is_whole_core else "",
                    f"{item.on_demand_usd:.4f}",
                    f"{item.spot_usd:.4f}",
                    f"{item.emr_usd:.4f}",
                )
                for item in INSTANCES
            ],
        ),
        "Not included: storage, logs, KMS, Airflow itself, work repeated after Spot nodes were reclaimed, and the features of "
        "earlier drops that a fit reads again.",
    ]
    return "\n\n".join(parts)


def _run(photos: int, photo_bytes: int, *, gets: int) -> tuple[FeaturizingWork, ClusterSize]:
    work = FeaturizingWork(photos=photos, size_bytes=photos * photo_bytes, engine=ENGINE, gets=gets)
    return work, cheapest(work, deadline_s=DEADLINE_S, max_nodes=MAX_NODES)


def _total_usd(photos: int, photo_bytes: int, requests: Requests) -> float:
    work, size = _run(photos, photo_bytes, gets=requests.gets)
    return size.usd(work, spot=True) + work.s3_usd + requests.upload_usd


def _costs(name: str, work: FeaturizingWork, size: ClusterSize, requests: Requests) -> list[str]:
    figures = [requests.upload_usd, work.s3_usd, size.usd(work, spot=True)]
    return [name, *(f"{usd:.3f}" for usd in [*figures, sum(figures)])]


def _calculation(work: FeaturizingWork, size: ClusterSize, requests: Requests) -> list[tuple[str, str, str]]:
    rate = PHOTOS_PER_S_AND_VCPU[work.engine]
    other_s = work.photos * OTHER_STAGES_VCPU_S_PER_PHOTO
    decoding_s = work.size_bytes * VCPU_S_PER_BYTE
    run_s = size.seconds(work)
    start_and_end_s = fixed_s(work)
    primary = f"{PRIMARIES[0].on_demand_usd} + {PRIMARIES[0].emr_usd:.4f} + {DISK_USD_PER_HOUR:.4f}"
    core = f"{size.core.on_demand_usd} + {size.core.emr_usd:.4f} + {DISK_USD_PER_HOUR:.4f}"
    task = f"({size.core.spot_usd} + {size.core.emr_usd:.4f} + {DISK_USD_PER_HOUR:.4f})"
    fixed = f"{CLUSTER_START_S} + {BOOTSTRAP_S} + {len(FEATURES_PIPELINE.stages)} x {SPARK_START_S} + {CLUSTER_END_S} s"
    nodes = f"{size.nodes} {size.core.name} of {size.core.vcpu} vCPU" + (
        f" x {WHOLE_CORE_SPEED}" if size.core.is_whole_core else ""
    )
    hour_usd = f"{size.usd_per_hour(spot=True):.4f} USD"
    return [
        ("featurize", f"{work.photos:,} photos / {rate:g} photos per second and vCPU", f"{work.photos / rate:,.0f} vCPU seconds"),
        ("decoding", f"{work.size_bytes:,} bytes x {VCPU_S_PER_BYTE * 1e9:.1f} ns", f"{decoding_s:,.0f} vCPU seconds"),
        ("other stages", f"{work.photos:,} photos x {OTHER_STAGES_VCPU_S_PER_PHOTO * 1e3:g} ms", f"{other_s:,.0f} vCPU seconds"),
        ("computation", f"{work.vcpu_s:,.0f} vCPU seconds / {nodes}", f"{run_s - start_and_end_s:,.0f} s"),
        ("cluster start, bootstrap, start of Spark in each stage, cluster end", fixed, f"{start_and_end_s} s"),
        ("run", f"{start_and_end_s} + {run_s - start_and_end_s:,.0f} s", f"{run_s:,.0f} s = {run_s / 60:.1f} min"),
        ("primary node per hour", primary, f"{PRIMARIES[0].on_demand_usd + PRIMARIES[0].emr_usd + DISK_USD_PER_HOUR:.4f} USD"),
        ("core node per hour, on-demand", core, f"{size.core.on_demand_usd + size.core.emr_usd + DISK_USD_PER_HOUR:.4f} USD"),
        ("cluster per hour", f"primary + core + {size.nodes - 1} x {task} USD", hour_usd),
        ("**cluster**", f"{hour_usd} x {run_s:,.0f} / 3600", f"**{size.usd(work, spot=True):.3f} USD**"),
        ("S3, run", f"{requests.gets:,} GETs x {S3_GET_USD * 1000:.4f} USD per 1,000, and LIST", f"{work.s3_usd:.4f} USD"),
        ("S3, upload", f"{requests.puts:,} PUTs x {S3_PUT_USD * 1000:.4f} USD per 1,000", f"{requests.upload_usd:.4f} USD"),
    ]


def _row(photos: int, photo_bytes: int) -> list[str]:
    objects, shards = Requests.of_objects(photos), Requests.of_shards(photos, photo_bytes)
    work, size = _run(photos, photo_bytes, gets=shards.gets)
    minutes = f"{size.seconds(work) / 60:.0f}"
    if size.seconds(work) > DEADLINE_S:
        minutes += ", too late"
    per_million = [_total_usd(photos, photo_bytes, requests) / photos * 1e6 for requests in (shards, objects)]
    clusters = [size.usd(work, spot=True), size.usd(work, spot=False)]
    figures = [*(f"{usd:.3f}" for usd in clusters), *(f"{usd:.2f}" for usd in per_million)]
    return [f"{photos:,}", f"{photo_bytes:,}", str(size.nodes), minutes, *figures]
