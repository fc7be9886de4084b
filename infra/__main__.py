"""`make deploy` and `make undeploy`: the AWS side of a deployment by CloudFormation, in one region of the EU.

Credentials come from the standard AWS environment.
"""

import argparse
import os
import sys

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.deploy import Declined, Dialog, airflow_variable, deploy_stacks
from infra.stacks import Deployment, DeploymentError, stacks
from infra.undeploy import undeploy
from release import contents, extractor, weights, wheelhouse
from release.upload import upload_release

INTERRUPTED = 130
NEXT = """
Next (docs/aws.md has every step):
  1. Create the Airflow Variable `fruits` with the JSON above.
  2. In Billing, activate the cost allocation tag `deployment`: until then the budget counts nothing.
  3. Deploy dags/, plugins/ and their packages to Airflow, MWAA or Helm: docs/production.md.
Run this command again after each change of the code, and at least every two months: it renews the clusters' certificates."""


def main() -> int:
    """Run the command and return its exit code: 0 done, 1 failed or declined, 130 interrupted."""
    parser = _parser()
    arguments = parser.parse_args()
    if wrong := [item for item in arguments.overrides if "=" not in item]:
        parser.error(f"OVERRIDES has {' '.join(wrong)}; expected NAME=VALUE, such as OVERRIDES='MonthlyUsd=50'")
    deployment = Deployment(stack=arguments.stack, region=arguments.region, values=_parameter_values(arguments))
    # boto3 reads AWS_DEFAULT_REGION, other clients AWS_REGION
    os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = deployment.region
    boto3.setup_default_session(region_name=deployment.region)
    dialog = Dialog(say=_say, confirm=(lambda question: True) if arguments.yes else _ask)
    try:
        if arguments.command == "deploy":
            _deploy(deployment, dialog)
        else:
            undeploy(deployment, dialog, with_data=arguments.data == "delete")
    except KeyboardInterrupt:
        _say_states(deployment)
        return INTERRUPTED
    except Declined as error:
        _say(str(error))
        return 1
    except (DeploymentError, ClientError, BotoCoreError) as error:
        return _fail(arguments.command, str(error))
    except (contents.MissingSource, wheelhouse.WheelsMissing, weights.WrongWeights, extractor.BadExport) as error:
        return _fail(arguments.command, f"the stacks are complete, but there is no release: {error}\nRun the same command again.")
    return 0


def _deploy(deployment: Deployment, dialog: Dialog) -> None:
    outputs = deploy_stacks(deployment, dialog)
    release = upload_release(outputs["BucketName"], say=_say).release
    _say(f"\nThe Airflow Variable `fruits`:\n{airflow_variable(deployment, outputs, release)}\n{NEXT}")


def _parameter_values(arguments: argparse.Namespace) -> dict[str, str]:
    values = dict(item.split("=", 1) for item in arguments.overrides)
    if arguments.bucket:
        values["BucketName"] = arguments.bucket
    if arguments.email:
        values["Email"] = arguments.email
    return values


def _say_states(deployment: Deployment) -> None:
    _say("\ninterrupted. The stacks, as they are now:")
    for stack in stacks(deployment):
        _say(f"  {stack.name}: {stack.status() or 'does not exist'}")
    _say("CloudFormation finishes what is in progress. Run the same command to continue, or make undeploy to remove it.")


def _ask(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        _say("\nno terminal to confirm on; set YES=1 to confirm")
        return False


def _fail(command: str, reason: str) -> int:
    print(f"{command}: {reason}", file=sys.stderr, flush=True)
    return 1


def _say(text: str) -> None:
    print(text, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra", description=__doc__)
    parser.add_argument("command", choices=("deploy", "undeploy"))
    parser.add_argument("--stack", required=True, help="name of the deployment, such as fruits")
    parser.add_argument("--region", required=True, help="region in the EU, such as eu-north-1")
    parser.add_argument("--email", help="gets the budget's alarms")
    parser.add_argument("--bucket", help="name of the bucket (default: made of stack, account and region)")
    parser.add_argument("--overrides", nargs="*", default=[], metavar="NAME=VALUE", help="parameters of the templates")
    parser.add_argument("--data", choices=("keep", "delete"), default="keep", help="undeploy: the bucket and its key")
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
