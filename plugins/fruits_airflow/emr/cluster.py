"""The EMR cluster of a run, as the body of RunJobFlow: a pure function of the settings, the run and its size."""

from collections.abc import Sequence
from typing import Any

from fruits_airflow.emr import spark_conf, tags
from fruits_airflow.emr.prices import INSTANCES, PRIMARIES, Instance
from fruits_airflow.settings import Settings
from fruits_contract import layout
from fruits_contract.pipeline import RunParams

MANAGED_POLICIES_TAG = "for-use-with-amazon-emr-managed-policies"


def job_flow(settings: Settings, params: RunParams, *, nodes: int) -> dict[str, Any]:
    """Return the RunJobFlow request for a run.

    The cluster stays up between steps, because the DAG adds them one by one; should the DAG die, EMR terminates it after
    `idle_timeout_s`. Steps run one at a time.

    Parameters
    ----------
    nodes
        One on-demand core node and Spot task nodes, each of 4 vCPU. Managed scaling removes task nodes that have nothing to do,
        and adds them again up to this number.
    """
    instances: dict[str, Any] = {
        "KeepJobFlowAliveWhenNoSteps": True,
        "TerminationProtected": False,
        "InstanceFleets": [
            _fleet("MASTER", PRIMARIES, on_demand=1),
            # On-demand: HDFS is here, with Spark's event logs on the way, and the cluster cannot go on without it.
            _fleet("CORE", INSTANCES, on_demand=1),
            # Spot nodes may be taken back: Spark repeats the lost tasks, and EMR falls back to on-demand when there are none.
            # Each type is a pool of its own on the Spot market; the more of them, the fewer nodes are taken back.
            *([_fleet("TASK", INSTANCES, spot=nodes - 1)] if nodes > 1 else []),
        ],
        **_network(settings),
    }
    scaling = {"ManagedScalingPolicy": {"ComputeLimits": _scaling_limits(nodes)}} if nodes > 1 else {}
    security = {"SecurityConfiguration": settings.security_configuration} if settings.security_configuration else {}
    cluster_tags = {**settings.tags, **tags.of_deployment(settings), tags.RUN: params.run, MANAGED_POLICIES_TAG: "true"}
    return {
        "Name": f"{tags.NAME_PREFIX}{params.run}",
        "ReleaseLabel": settings.emr_release,
        "Applications": [{"Name": "Spark"}],
        "LogUri": layout.logs_uri(settings.bucket),
        "ServiceRole": settings.service_role,
        "JobFlowRole": settings.instance_profile,
        "VisibleToAllUsers": True,
        "StepConcurrencyLevel": 1,
        "AutoTerminationPolicy": {"IdleTimeout": settings.idle_timeout_s},
        **scaling,
        **security,
        "Instances": instances,
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
            *spark_conf.classifications(),
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
        "Tags": [{"Key": key, "Value": value} for key, value in cluster_tags.items()],
    }


def _network(settings: Settings) -> dict[str, Any]:
    """Return where the cluster is, as far as the settings say."""
    network: dict[str, Any] = {}
    if settings.subnets:
        network["Ec2SubnetIds"] = list(settings.subnets)
    if settings.primary_security_group:
        network["EmrManagedMasterSecurityGroup"] = settings.primary_security_group
        network["EmrManagedSlaveSecurityGroup"] = settings.node_security_group
        network["ServiceAccessSecurityGroup"] = settings.service_access_security_group
    return network


def _scaling_limits(nodes: int) -> dict[str, Any]:
    return {
        "UnitType": "InstanceFleetUnits",
        "MinimumCapacityUnits": 1,
        "MaximumCapacityUnits": nodes,
        "MaximumOnDemandCapacityUnits": 1,
        "MaximumCoreCapacityUnits": 1,
    }


def _fleet(kind: str, types: Sequence[Instance], *, on_demand: int = 0, spot: int = 0) -> dict[str, Any]:
    # EMR accepts more than five types only with an allocation strategy.
    specifications: dict[str, Any] = {"OnDemandSpecification": {"AllocationStrategy": "lowest-price"}}
    if spot:
        specifications["SpotSpecification"] = {
            "TimeoutDurationMinutes": 10,
            "TimeoutAction": "SWITCH_TO_ON_DEMAND",
            "AllocationStrategy": "price-capacity-optimized",
        }
    return {
        "Name": kind.lower(),
        "InstanceFleetType": kind,
        "TargetOnDemandCapacity": on_demand,
        "TargetSpotCapacity": spot,
        "InstanceTypeConfigs": [{"InstanceType": item.name, "WeightedCapacity": 1} for item in types],
        "LaunchSpecifications": specifications,
    }
