"""Nothing is deleted below a cluster that is alive: asked of an EMR emulator, which runs real clusters."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from infra.stacks import Deployment, DeploymentError
from infra.undeploy import refuse_while_clusters_live
from tests.local.emr.conftest import run_service
from tests.local.emr.emr_client import Service

pytestmark = pytest.mark.slow
DEPLOYMENT = Deployment(stack="fruits", region="eu-north-1")


@pytest.fixture
def emr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    with run_service(tmp_path, keys) as running:
        for name, value in {**keys, "AWS_ENDPOINT_URL_EMR": running.url}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        yield running


def _tags(deployment: str) -> list[dict[str, str]]:
    return [{"Key": "deployment", "Value": deployment}]


def test_a_live_cluster_of_the_deployment_is_named(emr: Service) -> None:
    own = emr.run(Name="fruits first", Tags=_tags("fruits"))
    with pytest.raises(DeploymentError, match=f"alive: {own}\\. Wait for the end of their runs.*Nothing was deleted"):
        refuse_while_clusters_live(DEPLOYMENT, "bucket")
    emr.emr.terminate_job_flows(JobFlowIds=[own])
    emr.wait_for_end(own)
    refuse_while_clusters_live(DEPLOYMENT, "bucket")


def test_a_cluster_whose_deployment_is_named_after_the_bucket_is_found(emr: Service) -> None:
    emr.run(Name="fruits first", Tags=_tags("bucket"))
    with pytest.raises(DeploymentError, match="are alive"):
        refuse_while_clusters_live(DEPLOYMENT, "bucket")


def test_clusters_of_others_do_not_matter(emr: Service) -> None:
    emr.run(Name="fruits first", Tags=_tags("other"))
    emr.run(Name="something else", Tags=_tags("fruits"))
    refuse_while_clusters_live(DEPLOYMENT, "bucket")
