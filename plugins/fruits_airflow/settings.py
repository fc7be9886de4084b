"""The settings of a deployment: one Airflow Variable, read when a task runs and never when a DAG is parsed."""

import json
from dataclasses import dataclass, field, fields
from typing import Any

from airflow.sdk import Variable

from fruits_contract import layout
from fruits_contract.pipelines import PIPELINES
from fruits_contract.regions import EU_REGIONS

VARIABLE = "fruits"
JSON_TYPES = {str: "a string", int: "an integer", float: "a number", dict: "an object", list: "a list"}
TASKS_LIMIT_S = 60 * 3600  # below the DAG's dagrun_timeout of three days


class InvalidSettings(ValueError):
    """The Variable is missing, or one of its fields is wrong; the message says which and what is expected."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The fields of the Airflow Variable `fruits` (JSON).

    Parameters
    ----------
    bucket
        The project's bucket.
    region
        The bucket's region; only regions of the EU are accepted, because photos are personal data.
    release
        Release of the code that runs use unless another is requested.
    subnets
        Subnets for the cluster; EMR picks the one with the best capacity.
    service_role
        IAM role of EMR itself.
    instance_profile
        IAM instance profile of the cluster's nodes.
    security_configuration
        EMR security configuration: encryption, and IMDSv2 only; empty: none.
    primary_security_group
        Id of the security group of the primary node; empty: EMR creates all three.
    node_security_group
        Id of the security group of core and task nodes.
    service_access_security_group
        Id of the security group through which EMR reaches a cluster in a private subnet.
    emr_release
        EMR release label.
    node_python
        Folder on the nodes where the bootstrap action puts the Python 3.11 environment.
    wait_for_drop_s
        How long a run waits for its drop before its tasks are skipped.
    poll_s
        Seconds between two polls of S3 or EMR while a task is deferred.
    stage_limit_s
        How long one stage may take at most, from adding its step on; then its task fails and the cluster is terminated. Runs of
        fruits_features get half an hour and ten times their expected length, where that is less.
    idle_timeout_s
        Idle time after which EMR terminates a cluster by itself, should everything else fail; at least 60.
    deadline_s
        How long a run may take, from requesting the cluster to its end: the run gets the cheapest cluster that is expected to
        meet the deadline, or the largest one when none is.
    max_core_nodes
        Upper bound of the cluster's size.
    budget_usd
        What a run may cost: one that is expected to cost more, without Spot, fails before it has a cluster.
    deployment
        Name of this deployment, a tag by which it knows its own clusters; empty: the bucket's name. Two deployments in one AWS
        account need different ones.
    tags
        Further tags of the cluster, e.g. for cost allocation.
    """

    bucket: str
    region: str
    release: str
    subnets: tuple[str, ...] = ()
    service_role: str = "fruits-emr-service"
    instance_profile: str = "fruits-emr-node"
    security_configuration: str = ""
    primary_security_group: str = ""
    node_security_group: str = ""
    service_access_security_group: str = ""
    emr_release: str = "emr-7.14.0"
    node_python: str = "/opt/fruits"
    wait_for_drop_s: int = 6 * 3600
    poll_s: int = 30
    stage_limit_s: int = 6 * 3600
    idle_timeout_s: int = 900
    deadline_s: int = 2 * 3600
    max_core_nodes: int = 10
    budget_usd: float = 5.0
    deployment: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.region not in EU_REGIONS:
            raise InvalidSettings(f"region is {self.region!r}; expected a region in the EU (GDPR): {', '.join(EU_REGIONS)}")
        if not 60 <= self.idle_timeout_s <= 604_800:
            raise InvalidSettings(f"idle_timeout_s is {self.idle_timeout_s}; EMR accepts 60 to 604800")
        for name in ("poll_s", "wait_for_drop_s", "stage_limit_s", "deadline_s", "max_core_nodes"):
            if getattr(self, name) < 1:
                raise InvalidSettings(f"{name} is {getattr(self, name)}; expected at least 1")
        if not self.budget_usd > 0:  # nor a NaN
            raise InvalidSettings(f"budget_usd is {self.budget_usd}; expected more than 0")
        groups = (self.primary_security_group, self.node_security_group, self.service_access_security_group)
        if any(groups) and not all(groups):
            raise InvalidSettings(
                "only some of primary_security_group, node_security_group and service_access_security_group are set; "
                "expected all or none"
            )
        tasks_s = self.wait_for_drop_s + max(len(pipeline.stages) for pipeline in PIPELINES) * self.stage_limit_s
        if tasks_s > TASKS_LIMIT_S:
            raise InvalidSettings(
                f"wait_for_drop_s and stage_limit_s of all stages are {tasks_s} s together; expected at most {TASKS_LIMIT_S}: "
                "at its dagrun_timeout Airflow skips the termination of the cluster"
            )
        layout.check_name(self.release, what="release")
        if self.deployment:
            layout.check_name(self.deployment, what="deployment")

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        """Read the Variable's text.

        Raises
        ------
        InvalidSettings
            Not JSON, an unknown or a missing field, or a value out of bounds.
        """
        try:
            data: dict[str, Any] = json.loads(text)
        except json.JSONDecodeError as error:
            raise InvalidSettings(f"Airflow Variable {VARIABLE!r} is not JSON: {error}") from error
        if not isinstance(data, dict):
            raise InvalidSettings(f"Airflow Variable {VARIABLE!r} is not a JSON object")
        known = {item.name for item in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise InvalidSettings(
                f"Airflow Variable {VARIABLE!r} has unknown fields {', '.join(unknown)}; known: {', '.join(sorted(known))}"
            )
        if missing := sorted({"bucket", "region", "release"} - set(data)):
            raise InvalidSettings(f"Airflow Variable {VARIABLE!r} lacks {', '.join(missing)}; see docs/parameters.md")
        for item in fields(cls):
            expected: Any = {"subnets": list, "tags": dict}.get(item.name, item.type)
            if item.name in data and not _is_a(data[item.name], expected):
                raise InvalidSettings(f"{item.name} is {data[item.name]!r}; expected {JSON_TYPES[expected]}")
        return cls(**{**data, "subnets": tuple(data.get("subnets", ()))})

    @classmethod
    def load(cls) -> "Settings":
        """Read the Variable; for use inside a task."""
        text = Variable.get(VARIABLE, default=None)
        if text is None:
            # Airflow returns the default while its database is down as well, after lines in the log that say so.
            raise InvalidSettings(
                f"there is no Airflow Variable {VARIABLE!r}; create it as docs/parameters.md shows. If it exists, Airflow's "
                "database could not be reached: see the lines above"
            )
        return cls.from_json(text)


def _is_a(value: Any, expected: type) -> bool:
    """Return whether a value of JSON has a type; an integer is a number as well, and a boolean is neither."""
    if isinstance(value, bool):
        return False
    return isinstance(value, (int, float) if expected is float else expected)
