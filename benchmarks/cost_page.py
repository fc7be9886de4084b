"""The cost section of docs/performance.md: what a million photos cost, by the model in `fruits_airflow.emr.cost`."""

from benchmarks.results import markdown_table
from fruits_airflow.emr.cost import (
    BOOTSTRAP_S,
    CLUSTER_END_S,
    CLUSTER_START_S,
    FIXED_S,
    OTHER_STAGES_VCPU_S_PER_PHOTO,
    PHOTOS_PER_S_AND_VCPU,
    SPARK_START_S,
    VCPU_S_PER_BYTE,
    ClusterSize,
    Work,
    cheapest,
)
from fruits_airflow.emr.prices import DATED, DISK_USD_PER_HOUR, INSTANCES, PRIMARIES, REGION, S3_GET_USD, SPOT_SHARE
from fruits_contract.features_pipeline import FEATURES_PIPELINE

TARGET_USD = 0.25
ENGINE = "litert"
DEADLINE_S = 7200
MAX_NODES = 10
SMALL_PHOTO_BYTES = 5_700  # the mean of 4,320 of Fruits-360's 100x100 JPEGs
LARGE_PHOTO_BYTES = 4_000_000
BATCHES = (
    (1_000, SMALL_PHOTO_BYTES),
    (10_000, SMALL_PHOTO_BYTES),
    (100_000, SMALL_PHOTO_BYTES),
    (1_000_000, SMALL_PHOTO_BYTES),
    (10_000_000, SMALL_PHOTO_BYTES),
    (10_000, LARGE_PHOTO_BYTES),
    (100_000, LARGE_PHOTO_BYTES),
)


def cost_section() -> str:
    """Return the section; every figure in it is computed."""
    work, size = _run(1_000_000, SMALL_PHOTO_BYTES)
    spot_usd = size.usd(work, spot=True)
    verdict = "within" if spot_usd <= TARGET_USD else "above"
    parts = [
        "## Cost of a million photos",
        f"A batch of a million photos of 100x100 pixels ({SMALL_PHOTO_BYTES:,} bytes each), engine `{ENGINE}`, on the cheapest "
        f"cluster that finishes within {DEADLINE_S / 3600:g} hours with at most {MAX_NODES} core nodes: **{spot_usd:.2f} USD** "
        f"with Spot core nodes ({verdict} the target of {TARGET_USD} USD), **{size.usd(work, spot=False):.2f} USD** when there "
        f"is no Spot capacity and all nodes are on-demand. S3 requests add {work.s3_usd:.2f} USD on any cluster. The best "
        "published run of this job on EMR cost 23.6 EUR.",
        "This is a model. The speed is measured, on one machine; the startup times of EMR and the Spot share are estimates, and "
        f"no run on AWS has been measured yet. Prices are those of {REGION} as of {DATED}, without tax; they have not been "
        "checked against AWS.",
        "### Calculation",
        markdown_table(("quantity", "calculation", "result"), _calculation(work, size)),
        "### By batch size",
        "A cluster's startup is paid once, so large batches cost less per photo.",
        markdown_table(
            ("photos", "bytes each", "core nodes", "minutes", "USD, Spot", "USD, on-demand", "USD, S3", "USD per million, Spot"),
            [_row(photos, size_bytes) for photos, size_bytes in BATCHES],
        ),
        "### Prices",
        f"USD per hour, billed by the second with a minimum of one minute. Spot: {SPOT_SHARE:.0%} of EC2's on-demand price. "
        f"Disks: {DISK_USD_PER_HOUR:.4f} per node.",
        markdown_table(
            ("type", "vCPU", "EC2, on-demand", "EMR", "source of EC2's price"),
            [(item.name, str(item.vcpu), f"{item.on_demand_usd:.4f}", f"{item.emr_usd:.4f}", item.source) for item in INSTANCES],
        ),
        "Not included: storage, logs, KMS, Airflow itself, work repeated after Spot nodes were reclaimed, and the features of "
        "earlier drops that a fit reads again.",
    ]
    return "\n\n".join(parts)


def _run(photos: int, photo_bytes: int) -> tuple[Work, ClusterSize]:
    work = Work(photos=photos, size_bytes=photos * photo_bytes, engine=ENGINE)
    return work, cheapest(work, deadline_s=DEADLINE_S, max_nodes=MAX_NODES)


def _calculation(work: Work, size: ClusterSize) -> list[tuple[str, str, str]]:
    rate = PHOTOS_PER_S_AND_VCPU[work.engine]
    other_s = work.photos * OTHER_STAGES_VCPU_S_PER_PHOTO
    decoding_s = work.size_bytes * VCPU_S_PER_BYTE
    run_s = size.seconds(work)
    primary = f"{PRIMARIES[0].on_demand_usd} + {PRIMARIES[0].emr_usd} + {DISK_USD_PER_HOUR:.4f}"
    core = f"({size.core.on_demand_usd} x {SPOT_SHARE} + {size.core.emr_usd} + {DISK_USD_PER_HOUR:.4f})"
    fixed = f"{CLUSTER_START_S} + {BOOTSTRAP_S} + {len(FEATURES_PIPELINE.stages)} x {SPARK_START_S} + {CLUSTER_END_S} s"
    nodes = f"{size.nodes} {size.core.name} of {size.core.vcpu} vCPU"
    hour_usd = f"{size.usd_per_hour(spot=True):.4f} USD"
    return [
        ("featurize", f"{work.photos:,} photos / {rate:g} photos per second and vCPU", f"{work.photos / rate:,.0f} vCPU seconds"),
        ("decoding", f"{work.size_bytes:,} bytes x {VCPU_S_PER_BYTE * 1e9:.1f} ns", f"{decoding_s:,.0f} vCPU seconds"),
        ("other stages", f"{work.photos:,} photos x {OTHER_STAGES_VCPU_S_PER_PHOTO * 1e3:g} ms", f"{other_s:,.0f} vCPU seconds"),
        ("computation", f"{work.vcpu_s:,.0f} vCPU seconds / {nodes}", f"{run_s - FIXED_S:,.0f} s"),
        ("cluster start, bootstrap, start of Spark in each stage, cluster end", fixed, f"{FIXED_S} s"),
        ("run", f"{FIXED_S} + {run_s - FIXED_S:,.0f} s", f"{run_s:,.0f} s = {run_s / 60:.1f} min"),
        ("cluster per hour", f"{primary} + {size.nodes} x {core} USD", hour_usd),
        ("**cluster**", f"{hour_usd} x {run_s:,.0f} / 3600", f"**{size.usd(work, spot=True):.3f} USD**"),
        ("S3", f"{work.photos:,} GETs x {S3_GET_USD * 1000:.4f} USD per 1,000, and LIST", f"{work.s3_usd:.3f} USD"),
    ]


def _row(photos: int, photo_bytes: int) -> list[str]:
    work, size = _run(photos, photo_bytes)
    minutes = f"{size.seconds(work) / 60:.0f}"
    if size.seconds(work) > DEADLINE_S:
        minutes += ", too late"
    spot_usd, on_demand_usd = size.usd(work, spot=True), size.usd(work, spot=False)
    prices = [f"{spot_usd:.3f}", f"{on_demand_usd:.3f}", f"{work.s3_usd:.3f}", f"{spot_usd / photos * 1e6:.2f}"]
    return [f"{photos:,}", f"{photo_bytes:,}", str(size.nodes), minutes, *prices]
