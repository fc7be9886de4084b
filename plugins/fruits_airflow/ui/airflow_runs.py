"""What Airflow's database knows about the DAG runs: the state, and when a run was due."""

from dataclasses import dataclass

from airflow.models import DagRun
from sqlalchemy import select
from sqlalchemy.orm import Session

from fruits_contract import layout


@dataclass(frozen=True, kw_only=True)
class AirflowRun:
    """One DAG run.

    Parameters
    ----------
    run_after
        When it was due or triggered: UTC, ISO 8601.
    """

    dag_run_id: str
    state: str
    run_after: str


def runs_of_dag(session: Session, dag_id: str) -> dict[str, AirflowRun]:
    """Return the runs of a DAG by the name that their folder in the bucket has (`layout.run_name`)."""
    rows = session.execute(select(DagRun.run_id, DagRun.state, DagRun.run_after).where(DagRun.dag_id == dag_id))
    return {
        layout.run_name(run_id): AirflowRun(
            dag_run_id=run_id, state=str(state), run_after=run_after.isoformat(timespec="seconds")
        )
        for run_id, state, run_after in rows
    }
