"""What CloudFormation does on behalf of whoever deploys infra/*.yaml, by the schemas of its resource types.

A schema's handlers list what they may call for any property. `NOT_CALLED` has what none of our properties causes.
"""

import fnmatch
from collections.abc import Iterator

from cfnlint.decode.cfn_yaml import load
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from tests.infra import policies
from tests.infra.iam_calls import ACCOUNT, BUCKET, CLUSTER, KEY, REGION, STACK, Call, role_arn

HANDLERS = ("create", "read", "update", "delete")
EC2 = f"arn:aws:ec2:{REGION}:{ACCOUNT}"
IAM = f"arn:aws:iam::{ACCOUNT}"
# The first that is part of an action's name, of these services.
RESOURCES = {
    "ec2": {
        "Describe": "*",
        "Endpoint": f"{EC2}:vpc-endpoint/vpce-1",
        "Subnet": f"{EC2}:subnet/subnet-1",
        "RouteTable": f"{EC2}:route-table/rtb-1",
        "SecurityGroup": f"{EC2}:security-group/sg-1",
        "": f"{EC2}:vpc/{policies.VPC}",
    },
    "iam": {
        "InstanceProfile": f"{IAM}:instance-profile/{STACK}-emr-node",
        "PassRole": role_arn("emr-node"),
        "Role": role_arn("airflow"),
        "": f"{IAM}:policy/{STACK}-deployer",
    },
    "kms": {"CreateKey": "*", "": KEY},
    "s3": {"": f"arn:aws:s3:::{BUCKET}"},
    "elasticmapreduce": {"": "*"},
    "budgets": {"": f"arn:aws:budgets::{ACCOUNT}:budget/{STACK}-you@example.org"},
    "billing": {"": f"arn:aws:billing::{ACCOUNT}:billingview/primary"},
}
OWN = {"aws:ResourceTag/aws:cloudformation:stack-name": f"{STACK}-network"}
CONTEXT = {"iam:PassRole": {"iam:PassedToService": "ec2.amazonaws.com"}}
NOT_CALLED = {
    "ec2:AssociateSubnetCidrBlock": "no IPv6",
    "ec2:DisassociateSubnetCidrBlock": "no IPv6",
    "ec2:CreateVpcEncryptionControl": "not set",
    "ec2:ModifyVpcTenancy": "not set",
    "ec2:ReplaceRouteTableAssociation": "a subnet gets its only table",
    "vpc-lattice:*": "no endpoint of a service network",
    "vpce:AllowMultiRegion": "endpoints of the same region",
    "iam:*GroupPolicy": "policies of roles only",
    "iam:*UserPolicy": "policies of roles only",
    "iam:*RolePermissionsBoundary": "not set",
    "kms:DisableKey": "the key is enabled",
    "kms:DisableKeyRotation": "the key rotates",
    "kms:EnableKey": "the key is enabled from its creation",
    "s3tables:*": "no metadata tables",
    "s3:*MetadataAnnotationTable*": "no metadata tables",
    "s3:*MetadataTable*": "no metadata tables",
    "s3:*MetadataInventoryTable*": "no metadata tables",
    "s3:*MetadataJournalTable*": "no metadata tables",
    "s3:*Abac": "not set",
    "s3:*AccelerateConfiguration": "not set",
    "s3:*AnalyticsConfiguration": "not set",
    "s3:*BucketAcl": "the bucket has no ACLs",
    "s3:*BucketCORS": "not set",
    "s3:DeleteBucketCors": "no action of IAM",
    "s3:DeleteBucketEncryption": "no action of IAM",
    "s3:DeleteBucketLifecycle": "no action of IAM",
    "s3:*BucketLogging": "not set",
    "s3:*BucketNotification": "not set",
    "s3:*BucketWebsite": "not set",
    "s3:DeleteBucketWebsite": "not set",
    "s3:*IntelligentTieringConfiguration": "not set",
    "s3:*InventoryConfiguration": "not set",
    "s3:*MetricsConfiguration": "not set",
    "s3:*ObjectLockConfiguration": "not set",
    "s3:*Replication*": "not set",
    "s3:DeleteObject": "not by the bucket's handler; make undeploy deletes objects itself",
    "s3:PutObjectAcl": "the bucket has no ACLs",
}

OF_STACKS = [
    "cloudformation:CreateChangeSet",
    "cloudformation:DeleteChangeSet",
    "cloudformation:DeleteStack",
    "cloudformation:DescribeChangeSet",
    "cloudformation:DescribeStackEvents",
    "cloudformation:DescribeStacks",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:ListChangeSets",
    "cloudformation:TagResource",
]
# What make deploy and make undeploy call themselves (infra/*.py); make release is recorded.
OF_COMMANDS = {
    f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}-storage/1": OF_STACKS,
    f"arn:aws:cloudformation:eu-central-1:{ACCOUNT}:stack/{STACK}-budget-{REGION}/1": OF_STACKS,
    f"arn:aws:s3:::{BUCKET}": [
        "s3:DeleteBucket",
        "s3:GetBucketTagging",
        "s3:GetEncryptionConfiguration",
        "s3:ListBucket",
        "s3:ListBucketMultipartUploads",
        "s3:ListBucketVersions",
    ],
    f"arn:aws:s3:::{BUCKET}/raw/first/Apple 6/1.jpg": ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion"],
    f"arn:aws:s3:::{BUCKET}/security/emr-certificates.zip": ["s3:GetObject", "s3:PutObject"],
    KEY: ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey", "kms:ScheduleKeyDeletion"],
    CLUSTER: ["elasticmapreduce:DescribeCluster"],
    "*": ["cloudformation:GetTemplateSummary", "elasticmapreduce:ListClusters"],
}


def resource_types() -> set[str]:
    """Return the types of all resources in infra/*.yaml."""
    return {item["Type"] for path in policies.INFRA.glob("*.yaml") for item in load(str(path))["Resources"].values()}


def permissions() -> set[str]:
    """Return the actions that the handlers of these types list."""
    found: set[str] = set()
    for name in resource_types():
        handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", name).schema["handlers"]
        found |= {action for kind in HANDLERS for action in handlers.get(kind, {}).get("permissions", [])}
    return found


def calls() -> Iterator[Call]:
    """Yield what the commands call themselves, and what CloudFormation calls for these stacks."""
    for resource, actions in OF_COMMANDS.items():
        yield from (Call(policies.DEPLOYER, action, resource) for action in actions)
    for action in sorted(permissions()):
        if not any(fnmatch.fnmatchcase(action, pattern) for pattern in NOT_CALLED):
            service, _, name = action.partition(":")
            resource = next(arn for part, arn in RESOURCES[service].items() if part in name)
            is_network = service == "ec2" and not name.startswith(("Describe", "Create", "Associate", "Authorize"))
            yield Call(policies.DEPLOYER, action, resource, OWN if is_network else CONTEXT.get(action, {}))
