"""What AWS asks for a cluster: a small dated table, for one region, in US dollars without tax.

Nothing here is fetched: no price could be checked against AWS itself when the table was made. It must not know what is computed.
"""

from dataclasses import dataclass

REGION = "eu-north-1"
DATED = "2026-11-22"
CHECKED_AGAINST_AWS = False

CATALOGUE = (
    "[SkyPilot's catalogue](https://github.com/skypilot-org/skypilot-catalog) of prices from AWS's price API, "
    "catalogs/v8/aws/vms.csv, read as a stored copy of unknown age"
)


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One instance type; both prices are per hour, billed by the second with at least one minute."""

    name: str
    vcpu: int
    memory_gb: int
    on_demand_usd: float
    emr_usd: float
    source: str


# x86 only, because the wheelhouse is. All have 4 vCPU, so that each counts as one in a fleet. EMR's surcharge is a quarter of
# EC2's price in us-east-1 (0.048 for m5.xlarge); whether it rises with a dearer region could not be checked: taken is a quarter
# of the region's price, the higher of the two.
INSTANCES = (
    Instance(
        name="c6i.xlarge",
        vcpu=4,
        memory_gb=8,
        on_demand_usd=0.182,
        emr_usd=0.0455,
        source=f"half of 0.364 for c6i.2xlarge: {CATALOGUE}",
    ),
    Instance(
        name="c5.xlarge",
        vcpu=4,
        memory_gb=8,
        on_demand_usd=0.182,
        emr_usd=0.0455,
        source="an 18th of 3.276 for c5.18xlarge: "
        "[a list made from AWS's price API in 2019](https://gist.github.com/vivekkr12/09caa53d4ede859fba6116ed23c8967f)",
    ),
    Instance(
        name="m6i.xlarge",
        vcpu=4,
        memory_gb=16,
        on_demand_usd=0.204,
        emr_usd=0.051,
        source="taken as m5.xlarge, as the two cost the same in us-east-1 (0.192)",
    ),
    Instance(
        name="m5.xlarge",
        vcpu=4,
        memory_gb=16,
        on_demand_usd=0.204,
        emr_usd=0.051,
        source="a quarter of 0.816 for m5.4xlarge: "
        "[a list made from AWS's price API in 2019](https://gist.github.com/vivekkr12/680730870b6b7f6bfa46fe66ce715d6c)",
    ),
)
# The primary node holds the masters of YARN and HDFS beside the driver and its Python.
PRIMARIES = tuple(item for item in INSTANCES if item.memory_gb >= 16)

# c6i.2xlarge 34, 38 and 51 % of on-demand in the three zones, c6i.4xlarge 29 to 32 %, in the same catalogue; it changes daily.
SPOT_SHARE = 0.45

# gp3 at 0.0836 USD per GB and month of 730 hours (from memory); EMR gives an xlarge 64 GB of disks and a root disk of 15 GB.
DISK_USD_PER_HOUR = 0.0836 * (64 + 15) / 730

# S3 Standard: 0.0004 USD per 1,000 GETs, 0.005 USD per 1,000 LISTs of up to 1,000 keys (from memory; the same in most regions).
S3_GET_USD = 0.0004 / 1_000
S3_LIST_USD_PER_KEY = 0.005 / 1_000 / 1_000
