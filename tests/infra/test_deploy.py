"""Stacks created, updated, refused and deleted on LocalStack, as `make deploy` and `make undeploy` do it."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra import change_sets, stacks
from infra.deploy import Declined, Dialog, airflow_variable, deploy_stacks
from infra.stacks import FOLDER, Deployment, DeploymentError
from infra.undeploy import undeploy

pytestmark = [pytest.mark.slow, pytest.mark.compose]
REGION = "eu-north-1"
# LocalStack lists them and creates nothing: docs/aws.md names them
NOT_CREATED = {
    "AWS::Budgets::Budget",
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SecurityGroupIngress",
    "AWS::EMR::SecurityConfiguration",
}
LOST = """
Resources:
  Lost:
    Type: AWS::EC2::Subnet
    Properties: {VpcId: vpc-00000000, CidrBlock: 10.0.0.0/24}
"""


class Session:
    """The user of a command: what was said, the questions, and the answer to all of them."""

    def __init__(self, answer: bool = True) -> None:
        self.said: list[str] = []
        self.questions: list[str] = []
        self.answer = answer
        self.dialog = Dialog(say=self.said.append, confirm=self._confirm, poll_s=0.1)

    @property
    def text(self) -> str:
        return "\n".join(self.said)

    def _confirm(self, question: str) -> bool:
        self.questions.append(question)
        return self.answer


@pytest.fixture
def deployment(localstack: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    monkeypatch.setattr("infra.undeploy.refuse_while_clusters_live", lambda deployment, name: None)  # LocalStack has no EMR
    found = Deployment(stack=f"t{time.time_ns() % 10**9}", region=REGION, values={"Email": "me@example.org"})
    yield found
    undeploy(found, Session().dialog, with_data=True)


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """A folder with the template of the bucket, for tests that break what comes after it."""
    shutil.copy(FOLDER / "storage.yaml", tmp_path)
    return tmp_path


def statuses(deployment: Deployment) -> dict[str, str]:
    return {stack.name.split("-", 1)[1]: stack.status() for stack in stacks.stacks(deployment)}


def left_of(deployment: Deployment, outputs: dict[str, str]) -> list[Any]:
    """Return what is there of a deployment: stacks, buckets, networks, keys that are not about to be deleted."""
    ec2, kms = boto3.client("ec2", region_name=REGION), boto3.client("kms", region_name=REGION)
    in_vpc = [{"Name": "vpc-id", "Values": [outputs["VpcId"]]}]
    buckets = boto3.client("s3", region_name=REGION).list_buckets()["Buckets"]
    return [
        *filter(None, statuses(deployment).values()),
        *(item["Name"] for item in buckets if item["Name"] == outputs["BucketName"]),
        *ec2.describe_vpcs(Filters=in_vpc)["Vpcs"],
        *ec2.describe_subnets(Filters=in_vpc)["Subnets"],
        *ec2.describe_security_groups(Filters=in_vpc)["SecurityGroups"],
        *(item for item in ec2.describe_vpc_endpoints(Filters=in_vpc)["VpcEndpoints"] if item["State"] != "deleted"),
        *(
            [outputs["KeyArn"]]
            if kms.describe_key(KeyId=outputs["KeyArn"])["KeyMetadata"]["KeyState"] != "PendingDeletion"
            else []
        ),
    ]


def test_deployed_twice_and_undeployed_without_a_trace(deployment: Deployment) -> None:
    first = Session()
    outputs = deploy_stacks(deployment, first.dialog)
    assert set(statuses(deployment).values()) == {"CREATE_COMPLETE"}
    assert "  Add     Bucket    AWS::S3::Bucket        -" in first.said[0].splitlines()
    assert len(first.questions) == len(statuses(deployment))
    again = Session(answer=False)
    assert deploy_stacks(deployment, again.dialog) == outputs
    assert [line for line in again.said if "no changes" not in line] == [again.said[-1]], again.text
    assert again.questions == []

    undeploy(deployment, Session().dialog, with_data=True)
    assert left_of(deployment, outputs) == []


def test_the_types_that_localstack_cannot_create_are_named(deployment: Deployment) -> None:
    deploy_stacks(deployment, Session().dialog)
    not_created = {
        resource["ResourceType"]
        for stack in stacks.stacks(deployment)
        for resource in stack.cloudformation.describe_stack_resources(StackName=stack.name)["StackResources"]
        if resource["PhysicalResourceId"] == "unknown"
    }
    assert not_created == NOT_CREATED
    page = (FOLDER.parent / "docs" / "aws.md").read_text()
    assert all(f"`{name}`" in page for name in NOT_CREATED)


def test_the_network_has_three_private_subnets_and_two_endpoints(deployment: Deployment) -> None:
    outputs = deploy_stacks(deployment, Session().dialog)
    ec2 = boto3.client("ec2", region_name=REGION)
    in_vpc = [{"Name": "vpc-id", "Values": [outputs["VpcId"]]}]
    subnets = ec2.describe_subnets(SubnetIds=outputs["SubnetIds"].split(","))["Subnets"]
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 3
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in subnets)
    endpoints = ec2.describe_vpc_endpoints(Filters=in_vpc)["VpcEndpoints"]
    assert {(item["ServiceName"], item["VpcEndpointType"]) for item in endpoints} == {
        (f"com.amazonaws.{REGION}.s3", "Gateway"),
        (f"com.amazonaws.{REGION}.kms", "Interface"),
    }
    with_subnets = [{"Name": "association.subnet-id", "Values": outputs["SubnetIds"].split(",")}]
    (table,) = ec2.describe_route_tables(Filters=with_subnets)["RouteTables"]
    assert {item.get("SubnetId") for item in table["Associations"]} == set(outputs["SubnetIds"].split(","))
    assert all(route.get("GatewayId", "").startswith(("local", "vpce-")) for route in table["Routes"])
    attached = [{"Name": "attachment.vpc-id", "Values": [outputs["VpcId"]]}]
    assert ec2.describe_internet_gateways(Filters=attached)["InternetGateways"] == []
    assert ec2.describe_nat_gateways(Filters=in_vpc)["NatGateways"] == []


def test_the_airflow_variable_is_of_what_was_made(deployment: Deployment) -> None:
    outputs = deploy_stacks(deployment, Session().dialog)
    variable = json.loads(airflow_variable(deployment, outputs, "abc"))
    assert variable["bucket"] == outputs["BucketName"] and variable["deployment"] == deployment.stack
    assert ",".join(variable["subnets"]) == outputs["SubnetIds"]
    assert variable["primary_security_group"].startswith("sg-")


def test_the_bucket_stays_and_becomes_part_of_the_next_deployment(deployment: Deployment) -> None:
    outputs = deploy_stacks(deployment, Session().dialog)
    s3 = boto3.client("s3", region_name=REGION)
    s3.put_object(Bucket=outputs["BucketName"], Key="kept", Body=b"x")
    user = Session()
    undeploy(deployment, user.dialog)
    assert f"kept: the bucket {outputs['BucketName']}" in user.text
    assert s3.get_object(Bucket=outputs["BucketName"], Key="kept")["Body"].read() == b"x"

    again = Session()
    assert deploy_stacks(deployment, again.dialog)["BucketName"] == outputs["BucketName"]
    assert "already exists; the change set below imports it" in again.text
    assert s3.get_object(Bucket=outputs["BucketName"], Key="kept")["Body"].read() == b"x"


def test_who_says_no_changes_nothing(deployment: Deployment) -> None:
    with pytest.raises(Declined):
        deploy_stacks(deployment, Session(answer=False).dialog)
    assert set(statuses(deployment).values()) == {""}
    deploy_stacks(deployment, Session().dialog)
    before = statuses(deployment)
    with pytest.raises(Declined, match="nothing was deleted"):
        undeploy(deployment, Session(answer=False).dialog)
    assert statuses(deployment) == before


def test_an_interrupt_at_the_question_leaves_no_change_set(deployment: Deployment) -> None:
    def interrupt(question: str) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deploy_stacks(deployment, Dialog(say=lambda text: None, confirm=interrupt, poll_s=0.1))
    assert set(statuses(deployment).values()) == {""}


def test_what_a_killed_command_has_left_is_deleted_first_and_said(deployment: Deployment) -> None:
    storage = next(stacks.stacks(deployment))
    values = {"BucketName": f"{deployment.stack}-killed", "Stack": deployment.stack}
    change_sets.create(storage, deployment, values, poll_s=0.1)  # and then the process was killed
    assert storage.status() == "REVIEW_IN_PROGRESS"
    user = Session()
    deploy_stacks(deployment, user.dialog)
    assert f"{storage.name}: deleting it first, because an earlier change set was not executed" in user.said


def test_a_failure_names_resource_reason_and_remedy_and_the_next_try_begins_anew(deployment: Deployment, templates: Path) -> None:
    (templates / "network.yaml").write_text(LOST)
    plain = Deployment(stack=deployment.stack, region=REGION)
    with pytest.raises(DeploymentError) as failed:
        deploy_stacks(plain, Session().dialog, folder=templates)
    assert f"the stack {plain.stack}-network ended as ROLLBACK_COMPLETE" in str(failed.value)
    assert "Lost (AWS::EC2::Subnet): " in str(failed.value) and "vpc-00000000 does not exist" in str(failed.value)
    assert "Remove the cause, then run the same command again" in str(failed.value)

    shutil.copy(FOLDER / "network.yaml", templates)
    user = Session()
    deploy_stacks(plain, user.dialog, folder=templates)
    assert f"{plain.stack}-network: deleting it first, because it is ROLLBACK_COMPLETE and cannot be updated" in user.said
    assert f"{plain.stack}-storage: no changes" in user.said


def test_what_only_the_user_knows_is_asked_for_before_anything_is_created(deployment: Deployment) -> None:
    plain = Deployment(stack=deployment.stack, region=REGION)
    with pytest.raises(DeploymentError, match=r"needs Email; nothing was changed\. Give it: EMAIL=you@example\.org"):
        deploy_stacks(plain, Session().dialog)
    wrong = Deployment(stack=deployment.stack, region=REGION, values={**deployment.values, "MonthlyUs": "3"})
    with pytest.raises(DeploymentError, match=r"no template has the parameter MonthlyUs; known: .*MonthlyUsd"):
        deploy_stacks(wrong, Session().dialog)
    assert set(statuses(deployment).values()) == {""}


def test_a_bucket_is_not_renamed(deployment: Deployment) -> None:
    deploy_stacks(deployment, Session().dialog)
    other = Deployment(stack=deployment.stack, region=REGION, values={"BucketName": "another-bucket"})
    with pytest.raises(DeploymentError, match="cannot be renamed to another-bucket"):
        deploy_stacks(other, Session().dialog)


def test_nothing_is_deleted_while_somebody_has_the_deployers_policy(deployment: Deployment) -> None:
    outputs = deploy_stacks(deployment, Session().dialog)
    iam = boto3.client("iam")
    iam.create_user(UserName=deployment.stack)
    iam.attach_user_policy(UserName=deployment.stack, PolicyArn=outputs["DeployerPolicyArn"])
    before = statuses(deployment)
    with pytest.raises(DeploymentError, match=f"attached to {deployment.stack}, .*Nothing was deleted"):
        undeploy(deployment, Session().dialog)
    assert statuses(deployment) == before
    iam.detach_user_policy(UserName=deployment.stack, PolicyArn=outputs["DeployerPolicyArn"])


def test_the_budget_of_another_region_stays(deployment: Deployment) -> None:
    deploy_stacks(deployment, Session().dialog)
    before = statuses(deployment)
    user = Session()
    undeploy(Deployment(stack=deployment.stack, region="eu-west-1", values=deployment.values), user.dialog)
    assert "nothing to do" in user.text
    assert statuses(deployment) == before


def test_a_second_undeploy_has_nothing_to_do(deployment: Deployment) -> None:
    user = Session()
    undeploy(deployment, user.dialog)
    assert user.said == [f"there are no stacks of {deployment.stack} in {REGION}: nothing to do"]
