"""AWS prices of one region as of one date, in US dollars without tax; they have not been checked against AWS itself."""

from dataclasses import dataclass

REGION = "eu-north-1"
DATED = "2026-11-22"

CATALOGUE = (
    "[SkyPilot's catalogue](https://github.com/skypilot-org/skypilot-catalog) of prices from AWS's price API, "
    "catalogs/v8/aws/vms.csv, a stored copy of unknown age"
)


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One instance type; both prices are per hour, billed by the second with a minimum of one minute."""

    name: str
    vcpu: int
    memory_gb: int
    on_demand_usd: float
    emr_usd: float
    source: str


# x86 only, because the wheelhouse is. All have 4 vCPU, so that each counts as one unit of an instance fleet. EMR's surcharge is a
# quarter of EC2's price in us-east-1 (0.048 for m5.xlarge). Whether it is higher in a more expensive region could not be checked;
# assumed is a quarter of this region's EC2 price, the higher of the two.
INSTANCES = (
    Instance(
        name="c6i.xlarge",
        vcpu=4,
        memory_gb=8,
        on_demand_usd=0.182,
        emr_usd=0.0455,
        source=f"1/2 of 0.364 for c6i.2xlarge: {CATALOGUE}",
    ),
    Instance(
        name="c5.xlarge",
        vcpu=4,
        memory_gb=8,
        on_demand_usd=0.182,
        emr_usd=0.0455,
        source="1/18 of 3.276 for c5.18xlarge: "
        "[a 2019 list from AWS's price API](https://gist.github.com/vivekkr12/09caa53d4ede859fba6116ed23c8967f)",
    ),
    Instance(
        name="m6i.xlarge",
        vcpu=4,
        memory_gb=16,
        on_demand_usd=0.204,
        emr_usd=0.051,
        source="assumed equal to m5.xlarge; both cost 0.192 in us-east-1",
    ),
    Instance(
        name="m5.xlarge",
        vcpu=4,
        memory_gb=16,
        on_demand_usd=0.204,
        emr_usd=0.051,
        source="1/4 of 0.816 for m5.4xlarge: "
        "[a 2019 list from AWS's price API](https://gist.github.com/vivekkr12/680730870b6b7f6bfa46fe66ce715d6c)",
    ),
)
# The primary node runs the YARN and HDFS masters, the driver and its Python.
PRIMARIES = tuple(item for item in INSTANCES if item.memory_gb >= 16)

# Spot price as a share of on-demand, which changes daily. In the same catalogue: c6i.2xlarge 34, 38 and 51 % in the three zones,
# c6i.4xlarge 29 to 32 %.
SPOT_SHARE = 0.45

# gp3 at 0.0836 USD per GB and month of 730 hours (from memory); EMR gives an xlarge 64 GB of EBS and a 15 GB root volume.
DISK_USD_PER_HOUR = 0.0836 * (64 + 15) / 730

# S3 Standard: 0.0004 USD per 1,000 GETs, 0.005 USD per 1,000 LISTs of up to 1,000 keys (from memory; the same in most regions).
S3_GET_USD = 0.0004 / 1_000
S3_LIST_USD_PER_KEY = 0.005 / 1_000 / 1_000
