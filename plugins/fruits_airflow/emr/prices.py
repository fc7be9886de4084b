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
    """One instance type; prices are per hour, billed by the second with a minimum of one minute.

    Parameters
    ----------
    spot_usd
        Mean of the region's three zones in the catalogue; it changes daily.
    is_whole_core
        Whether a vCPU is a core of its own, as on AMD's seventh generation, rather than one of a core's two threads.
    """

    name: str
    vcpu: int
    memory_gb: int
    on_demand_usd: float
    spot_usd: float
    is_whole_core: bool = False

    @property
    def emr_usd(self) -> float:
        """EMR's surcharge: a quarter of EC2's price in us-east-1 (0.048 for m5.xlarge).

        Whether it is higher in a more expensive region could not be checked; assumed is a quarter of this region's EC2 price.
        """
        return self.on_demand_usd / 4


# x86 only, because the wheelhouse is. All have 4 vCPU, so that each counts as one unit of an instance fleet. EMR 7.9 supports
# these and more (a public list made from ListSupportedInstanceTypes); c6a, c8i, m5a, m6a, m8a and m8i have no price here.
INSTANCES = (
    Instance(name="c5.xlarge", vcpu=4, memory_gb=8, on_demand_usd=0.182, spot_usd=0.0598),
    Instance(name="c5a.xlarge", vcpu=4, memory_gb=8, on_demand_usd=0.164, spot_usd=0.0596),
    Instance(name="c6i.xlarge", vcpu=4, memory_gb=8, on_demand_usd=0.182, spot_usd=0.0736),
    Instance(name="c7a.xlarge", vcpu=4, memory_gb=8, on_demand_usd=0.21976, spot_usd=0.0812, is_whole_core=True),
    Instance(name="c7i.xlarge", vcpu=4, memory_gb=8, on_demand_usd=0.1911, spot_usd=0.0716),
    Instance(name="m5.xlarge", vcpu=4, memory_gb=16, on_demand_usd=0.204, spot_usd=0.0639),
    Instance(name="m6i.xlarge", vcpu=4, memory_gb=16, on_demand_usd=0.204, spot_usd=0.0944),
    Instance(name="m7a.xlarge", vcpu=4, memory_gb=16, on_demand_usd=0.24632, spot_usd=0.0909, is_whole_core=True),
    Instance(name="m7i.xlarge", vcpu=4, memory_gb=16, on_demand_usd=0.2142, spot_usd=0.0643),
)
BY_NAME = {item.name: item for item in INSTANCES}
# The primary node runs the YARN and HDFS masters, the driver and its Python.
PRIMARIES = tuple(item for item in INSTANCES if item.memory_gb >= 16)

# gp3 at 0.0836 USD per GB and month of 730 hours (from memory); EMR gives an xlarge 64 GB of EBS and a 15 GB root volume.
DISK_USD_PER_HOUR = 0.0836 * (64 + 15) / 730

# S3 Standard: 0.0004 USD per 1,000 GETs, 0.005 USD per 1,000 PUTs, or LISTs of up to 1,000 keys (from memory; the same in most
# regions).
S3_GET_USD = 0.0004 / 1_000
S3_PUT_USD = 0.005 / 1_000
S3_LIST_USD_PER_KEY = 0.005 / 1_000 / 1_000
