"""What the plan of a run expects and the run's report shows, `runs/<run>/plan.json`."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class PlanSummary:
    """The cluster that was chosen, what it is expected to take and cost, and the run to compare with.

    Parameters
    ----------
    expected_seconds
        From the request for the cluster to its end.
    spot_usd, on_demand_usd
        Expected price of the cluster, by how its task nodes are bought.
    s3_usd
        Expected price of the requests to S3.
    previous_run
        The run that was published last; '' for none.
    """

    instance: str
    nodes: int
    expected_seconds: float
    spot_usd: float
    on_demand_usd: float
    s3_usd: float
    previous_run: str = ""

    def to_json(self) -> str:
        """Return the summary as indented JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "PlanSummary":
        """Read `to_json` back."""
        return cls(**json.loads(text))
