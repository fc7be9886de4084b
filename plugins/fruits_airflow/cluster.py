"""The EMR cluster of a run, as the body of RunJobFlow: a pure function of the settings and the batch."""

from typing import Any

from fruits_airflow.settings import Settings
from fruits_contract import layout
from fruits_contract.params import RunParams

# Photos that one core node (4 vCPU) turns into features in about half an hour at 30 photos/s and vCPU, a cautious figure.
PHOTOS_PER_NODE = 200_000
MANAGED_POLICIES_TAG = "for-use-with-amazon-emr-managed-policies"


def core_nodes(photos: int, *, at_most: int) -> int:
    """Return how many core nodes a batch gets."""
    return max(1, min(-(-photos // PHOTOS_PER_NODE), at_most))


def job_flow(settings: Settings, params: RunParams, *, photos: int) -> dict[str, Any]:
    """Return the RunJobFlow request for a run.

    The cluster stays up between steps, since the DAG adds them one by one; should the DAG die, EMR itself ends it after
    `idle_timeout_s`. Steps run one at a time.
    """
    return {
        "Name": f"fruits {params.run}",
        "ReleaseLabel": settings.emr_release,
        "Applications": [{"Name": "Spark"}],
        "LogUri": layout.logs_uri(settings.bucket),
        "ServiceRole": settings.service_role,
        "JobFlowRole": settings.instance_profile,
        "VisibleToAllUsers": True,
        "StepConcurrencyLevel": 1,
        "AutoTerminationPolicy": {"IdleTimeout": settings.idle_timeout_s},
        "Instances": {
            "KeepJobFlowAliveWhenNoSteps": True,
            "TerminationProtected": False,
            **({"Ec2SubnetIds": list(settings.subnets)} if settings.subnets else {}),
            "InstanceFleets": [
                _fleet("MASTER", on_demand=1),
                # Spot may be taken back: Spark repeats the lost tasks, and EMR falls back to on-demand when there is none.
                _fleet("CORE", spot=core_nodes(photos, at_most=settings.max_core_nodes)),
            ],
        },
        "BootstrapActions": [
            {
                "Name": "python 3.11 from the wheelhouse",
                "ScriptBootstrapAction": {
                    "Path": layout.uri(settings.bucket, layout.bootstrap_script(params.release)),
                    "Args": [layout.uri(settings.bucket, layout.wheels_prefix(params.release)), settings.node_python],
                },
            }
        ],
        "Configurations": [
            {
                "Classification": "spark-defaults",
                "Properties": {
                    "spark.pyspark.python": f"{settings.node_python}/bin/python",
                    "spark.executorEnv.AWS_REGION": settings.region,
                },
            },
            {
                "Classification": "spark-env",
                "Properties": {},
                "Configurations": [{"Classification": "export", "Properties": {"AWS_REGION": settings.region}}],
            },
        ],
        "Tags": [
            {"Key": key, "Value": value}
            for key, value in {
                "project": "fruits",
                "run": params.run,
                MANAGED_POLICIES_TAG: "true",
                **settings.tags,
            }.items()
        ],
    }


def _fleet(kind: str, *, on_demand: int = 0, spot: int = 0) -> dict[str, Any]:
    fleet: dict[str, Any] = {
        "Name": kind.lower(),
        "InstanceFleetType": kind,
        "TargetOnDemandCapacity": on_demand,
        "TargetSpotCapacity": spot,
        "InstanceTypeConfigs": [
            {"InstanceType": name, "WeightedCapacity": 1} for name in ("m6i.xlarge", "m5.xlarge", "m6a.xlarge")
        ],
    }
    if spot:
        fleet["LaunchSpecifications"] = {
            "SpotSpecification": {
                "TimeoutDurationMinutes": 10,
                "TimeoutAction": "SWITCH_TO_ON_DEMAND",
                "AllocationStrategy": "capacity-optimized",
            }
        }
    return fleet
