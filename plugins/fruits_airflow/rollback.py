"""Takes back a published run, or makes an earlier classifier current again: `python -m fruits_airflow.rollback --bucket NAME`."""

import argparse
import sys

from deltalake.exceptions import DeltaError

from fruits_airflow.aws_environment import NoAccess, bucket_from_environment
from fruits_airflow.bucket import Bucket
from fruits_airflow.current import CurrentModelChanged, make_current, read_current
from fruits_airflow.lease import LeaseLost, TablesAreBusy
from fruits_airflow.run_rollback import CannotRollBackRun, roll_back_run
from fruits_contract import layout


class CannotRollBack(RuntimeError):
    """There is no such classifier to return to; the message names those that exist."""


def roll_back(bucket: Bucket, *, to: str | None = None) -> tuple[str, str]:
    """Make classifier `to` current, or the one before the current one.

    Returns
    -------
    tuple of str
        The ids of the classifier that was current and of the one that is now.

    Raises
    ------
    CannotRollBack
        No classifier is current, there is none before it, `to` does not exist, or it is for another extractor.
    """
    current = read_current(bucket).classifier
    if not current:
        raise CannotRollBack(f"no classifier is current in {bucket.uri(layout.CURRENT_MODELS)}; run fruits_classifier first")
    model_id = to or current.get("previous", "")
    existing = ", ".join(bucket.folders(layout.CLASSIFIERS)) or "none"
    if not model_id:
        raise CannotRollBack(
            f"classifier {current['model_id']} is the first one; name another one with MODEL=id (--to); existing: {existing}"
        )
    card = bucket.read_json(layout.classifier_card(model_id))
    if card is None:
        raise CannotRollBack(f"there is no classifier {model_id}; existing: {existing}")
    if card["extractor"] != current["extractor"]:
        raise CannotRollBack(
            f"classifier {model_id} reads features of extractor {card['extractor'][:12]}, the current one those of "
            f"{current['extractor'][:12]}; the service could not use it"
        )
    if model_id != current["model_id"]:
        model = {"model_id": model_id, "extractor": card["extractor"], "run": card["run"], "previous": current["model_id"]}
        make_current(bucket, kind="classifier", model=model, instead_of=current["model_id"])
    return current["model_id"], model_id


def main(argv: list[str] | None = None) -> int:
    """Roll back and return the exit code: 0 done, 1 refused, 2 wrong usage."""
    parser = argparse.ArgumentParser(
        prog="python -m fruits_airflow.rollback",
        description="Make an earlier classifier current again; running services load it by themselves. Or take a run back.",
    )
    parser.add_argument("--bucket", required=True, help="the project's bucket")
    parser.add_argument("--to", metavar="MODEL", help="id of the classifier (default: the previous one)")
    parser.add_argument("--run", help="take this published run back instead: tables and PCA as they were before it")
    arguments = parser.parse_args(argv)
    if arguments.run and arguments.to:
        parser.error("--run takes a run back, --to chooses a classifier: one of the two")
    try:
        with bucket_from_environment(arguments.bucket) as bucket:
            done = _run(bucket, arguments.run) if arguments.run else _classifier(bucket, arguments.to)
    except (NoAccess, CannotRollBack, CannotRollBackRun, CurrentModelChanged, TablesAreBusy, DeltaError, LeaseLost) as error:
        print(error, file=sys.stderr)
        return 1
    print(done)
    return 0


def _classifier(bucket: Bucket, to: str | None) -> str:
    before, now = roll_back(bucket, to=to)
    return f"classifier {now} is current" + (" already" if now == before else f", instead of {before}")


def _run(bucket: Bucket, run: str) -> str:
    done = roll_back_run(bucket, run)
    if not done:
        return f"run {run} was rolled back before"
    return "\n".join([*done, f"run {run} is rolled back: its photos count as new again; classifiers stay as they are"])


if __name__ == "__main__":
    sys.exit(main())
