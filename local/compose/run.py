"""A run through docker-compose's services, in a container on their network: `make compose-run IMAGES=folder`."""

import argparse
import os
import sys
from pathlib import Path

from local import AIRFLOW_USER, interrupts
from local.client import options
from local.client.run import CONNECTION_LOST, Place, explain_lost_connection, run
from local.compose import EMR_STATE
from local.console import say


def main() -> int:
    """Run it and return the exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m local.compose.run", description=__doc__)
    options.add_to(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("out"), metavar="DIR", help="for the results of a run (default: %(default)s)"
    )
    arguments = parser.parse_args()
    place = Place(
        bucket=os.environ["BUCKET"],
        airflow_url="http://airflow-api-server:8080",
        shown_url=f"http://127.0.0.1:{os.environ['AIRFLOW_PORT']}",
        airflow_user=AIRFLOW_USER,
        airflow_password=os.environ["AIRFLOW_PASSWORD"],
        emr_folder=EMR_STATE / "emr",
        out=arguments.out,
    )
    try:
        with interrupts.raised_once():
            return run(place, options.request(arguments))
    except KeyboardInterrupt:
        say("Interrupted")
        return interrupts.EXIT_CODE
    except CONNECTION_LOST as error:
        say(f"{explain_lost_connection(error)}\n`docker compose ps --all` shows which, `docker compose logs` why")
    return 1


if __name__ == "__main__":
    sys.exit(main())
