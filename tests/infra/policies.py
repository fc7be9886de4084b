"""The policies of infra/access.yaml per role, with the functions of the template resolved as CloudFormation does."""

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cfnlint.decode.cfn_yaml import load

from tests.infra.iam_calls import ACCOUNT, BUCKET, KEY, REGION, STACK

INFRA = Path(__file__).resolve().parents[2] / "infra"
AWS_MANAGED = Path(__file__).parent / "aws_managed"
VPC = "vpc-0a1b2c3d4e5f60718"
ROLES = ("airflow", "emr-service", "emr-node", "serving")
DEPLOYER = "deployer"  # a managed policy for people
PARAMETERS = {
    "Stack": STACK,
    "BucketArn": f"arn:aws:s3:::{BUCKET}",
    "KeyArn": KEY,
    "VpcId": VPC,
    "AirflowPrincipal": "",
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
}
STORAGE = {
    "BucketName": BUCKET,
    "RawDays": "11",
    "LogDays": "90",
    "ExistingKeyArn": "",
    "Bucket": BUCKET,
    "Bucket.Arn": f"arn:aws:s3:::{BUCKET}",
}
# As in infra/storage.yaml: who may use the key is decided by policies like those here.
KEY_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "DecidedByIam",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
    ],
}
ABSENT: Any = object()  # what !Ref AWS::NoValue leaves


@functools.cache
def of_all_roles() -> dict[str, list[dict[str, Any]]]:
    """Return name and document of every policy of a role, managed ones included; by the role's name without the stack's."""
    resources = Template(load(str(INFRA / "access.yaml")), PARAMETERS).resources()
    managed = {
        item["ManagedPolicyName"].removeprefix(f"{STACK}-"): item["PolicyDocument"]
        for item in resources.values()
        if "ManagedPolicyName" in item
    }
    policies = {DEPLOYER: [{"name": DEPLOYER, "policy": managed[DEPLOYER]}]}
    for item in resources.values():
        if "AssumeRolePolicyDocument" in item:
            own = [{"name": policy["PolicyName"], "policy": policy["PolicyDocument"]} for policy in item["Policies"]]
            names = [arn.rpartition(f"/{STACK}-")[2] for arn in item.get("ManagedPolicyArns", [])]
            policies[item["RoleName"].removeprefix(f"{STACK}-")] = own + [
                {"name": name, "policy": managed[name]} for name in names
            ]
    return policies


@functools.cache
def of_resource(arn: str) -> dict[str, Any] | None:
    """Return the policy of the bucket for it and its objects, that of the key for the key, and None for other resources."""
    if arn == KEY:
        return KEY_POLICY
    if arn.split("/")[0] == f"arn:aws:s3:::{BUCKET}":
        template = Template(load(str(INFRA / "storage.yaml")), PARAMETERS | STORAGE)
        return dict(template.properties("Policy")["PolicyDocument"])
    return None


def aws_managed(name: str) -> dict[str, Any]:
    """Return a policy that AWS manages, as it was at its `UpdateDate`."""
    return dict(json.loads((AWS_MANAGED / f"{name}.json").read_text()))


def size(document: Mapping[str, Any]) -> int:
    """Return the characters of a policy as IAM counts them: without white space."""
    return len("".join(json.dumps(document).split()))


class Template:
    """A template with the values of its parameters and pseudo parameters.

    Knows the functions that infra/access.yaml uses, and raises `ValueError` for others.
    """

    def __init__(self, template: Mapping[str, Any], values: Mapping[str, str]) -> None:
        self._template = template
        self._values = values

    def resources(self) -> dict[str, Any]:
        """Return the properties of the resources that these values create, by logical name."""
        return {
            name: self._resolved(item["Properties"])
            for name, item in self._template["Resources"].items()
            if "Condition" not in item or self._is_true(item["Condition"])
        }

    def properties(self, name: str) -> dict[str, Any]:
        """Return the properties of one resource."""
        return dict(self._resolved(self._template["Resources"][name]["Properties"]))

    def _is_true(self, condition: str) -> bool:
        one, other = self._template["Conditions"][condition]["Fn::Equals"]
        return bool(self._resolved(one) == self._resolved(other))

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, list):
            return [item for item in map(self._resolved, value) if item is not ABSENT]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, argument), *_ = value.items()
            if name == "Ref" or name.startswith("Fn::"):
                return self._call(name, argument)
        resolved = {name: self._resolved(item) for name, item in value.items()}
        return {name: item for name, item in resolved.items() if item is not ABSENT}

    def _call(self, name: str, argument: Any) -> Any:
        if name == "Ref":
            return self._referred(argument)
        if name == "Fn::Sub":
            return re.sub(r"\$\{([^}]+)\}", lambda found: str(self._referred(found[1])), argument)
        if name == "Fn::If":
            condition, then, otherwise = argument
            return self._resolved(then if self._is_true(condition) else otherwise)
        if name == "Fn::GetAtt" and argument[1] == "Arn":
            return self._referred(".".join(argument))
        raise ValueError(f"{name} of {argument} is not known here")

    def _referred(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return ABSENT
        return self._values[name] if name in self._values else self._arn(name.removesuffix(".Arn"))

    def _arn(self, resource: str) -> str:
        properties = self._template["Resources"][resource]["Properties"]
        for kind, key in ("role", "RoleName"), ("policy", "ManagedPolicyName"), ("instance-profile", "InstanceProfileName"):
            if key in properties:
                return f"arn:aws:iam::{ACCOUNT}:{kind}/{self._resolved(properties[key])}"
        raise ValueError(f"no ARN is known of {resource}")
