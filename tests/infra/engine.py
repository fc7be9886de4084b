"""Evaluates IAM policies with @cloud-copilot/iam-simulate, in Node.js: whether a role may make a call (decision 0030)."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.infra import policies
from tests.infra.iam_calls import ACCOUNT, REGION, Call, role_arn

SCRIPT = Path(__file__).parent / "iam_engine" / "evaluate.cjs"
MODULES = Path(sys.prefix) / "iam-engine" / "node_modules"
NODE = Path(sys.executable).with_name("node")
# What every request of ours has, unless a call says otherwise.
USUAL = {"aws:RequestedRegion": REGION, "aws:SecureTransport": "true", "aws:PrincipalAccount": ACCOUNT}
USUAL_OF = {"emr-node": {"aws:SourceVpc": policies.VPC}}


def are_allowed(calls: Sequence[Call], documents: dict[str, list[dict[str, Any]]] | None = None) -> list[bool]:
    """Return for each call whether the policies of its role allow it.

    Raises
    ------
    Skipped
        The engine is not there.
    ValueError
        The engine knows no such action, or the action knows no such resource or condition key: a mistake in the call.
    """
    by_role = documents or policies.of_all_roles()
    requests = [_request(call, by_role[call.role]) for call in calls]
    if not MODULES.is_dir():
        pytest.skip(
            "the IAM engine is not installed, because npm's registry could not be reached; rm .venv/.dev.stamp; make .venv-dev"
        )
    done = subprocess.run(
        [NODE, SCRIPT],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NODE_PATH": MODULES},
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [_decision(call, answer) for call, answer in zip(calls, json.loads(done.stdout), strict=True)]


def _request(call: Call, documents: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "principal": role_arn(call.role),
        "action": call.action,
        "resource": call.resource,
        "account": ACCOUNT,
        "context": {**USUAL, **USUAL_OF.get(call.role, {}), **call.context},
        "policies": documents,
        "resourcePolicy": policies.of_resource(call.resource),
    }


def _decision(call: Call, answer: dict[str, Any]) -> bool:
    if "error" in answer:
        raise ValueError(f"{call}: {answer['error']}")
    if unknown := set(answer["ignored"]) & set(call.context):
        raise ValueError(f"{call}: the action has no condition key {unknown}")
    return bool(answer["decision"] == "Allowed")
