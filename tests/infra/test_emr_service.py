"""EMR's service role has what AWS's own policy for it has, without what no cluster of ours needs."""

from collections.abc import Iterator
from typing import Any

from tests.infra import policies

ADDED = {
    "iam:PassRole": "the nodes' role has a name of its own",
    "iam:CreateServiceLinkedRole": "the first Spot instance of an account",
    "kms:CreateGrant": "disks are encrypted by the stack's key",
    "kms:Decrypt": "the same",
    "kms:DescribeKey": "the same",
    "kms:Encrypt": "the same",
    "kms:GenerateDataKey": "the same",
    "kms:GenerateDataKeyWithoutPlaintext": "the same",
    "kms:ReEncryptFrom": "the same",
    "kms:ReEncryptTo": "the same",
    "s3:GetObject": "certificates for encryption in transit",
}
LEFT_OUT = {
    "application-autoscaling:DeleteScalingPolicy": "managed scaling needs no role for it; no automatic scaling by rules",
    "application-autoscaling:DeregisterScalableTarget": "the same",
    "application-autoscaling:DescribeScalableTargets": "the same",
    "application-autoscaling:DescribeScalingPolicies": "the same",
    "application-autoscaling:PutScalingPolicy": "the same",
    "application-autoscaling:RegisterScalableTarget": "the same",
    "cloudwatch:DeleteAlarms": "the same",
    "cloudwatch:DescribeAlarms": "the same",
    "cloudwatch:PutMetricAlarm": "the same",
    "ec2:CreatePlacementGroup": "one primary node, no placement group",
    "ec2:DeletePlacementGroup": "the same",
    "ec2:CreateSecurityGroup": "the network has the groups",
    "ec2:CreateVpcEndpoint": "the network has the endpoints",
    "ec2:ModifyVpcEndpoint": "the same",
    "resource-groups:ListGroupResources": "no capacity reservations",
}


def actions(document: dict[str, Any]) -> Iterator[str]:
    for statement in document["Statement"]:
        assert statement["Effect"] == "Allow"
        yield from [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]


def test_it_has_the_actions_of_awss_policy_without_some() -> None:
    own = {action for item in policies.of_all_roles()["emr-service"] for action in actions(item["policy"])}
    awss = set(actions(policies.aws_managed("AmazonEMRServicePolicy_v2")["Document"]))
    assert own - awss == ADDED.keys() - {"iam:PassRole"}
    assert awss - own == LEFT_OUT.keys()


def test_everything_is_bound_to_the_region() -> None:
    for item in policies.of_all_roles()["emr-service"]:
        for statement in item["policy"]["Statement"]:
            condition = statement.get("Condition", {}).get("StringEquals", {})
            resources = [statement["Resource"]] if isinstance(statement["Resource"], str) else statement["Resource"]
            is_global = all(arn.startswith(("arn:aws:iam:", "arn:aws:s3:")) for arn in resources)
            is_bound = all(arn.split(":")[3:4] == ["eu-north-1"] for arn in resources)
            assert is_global or is_bound or condition.get("aws:RequestedRegion") == "eu-north-1", statement["Sid"]
