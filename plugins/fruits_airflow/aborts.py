"""Detects a run that was marked as failed, or as success, while it was running.

Airflow 3.3 lets the teardown of such a run finish and then derives the run's state from its leaves. It has set those to skipped,
so the run would end as a success.
"""

from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import Context

ENDS_THE_RUN = "ends_the_run"


def record_skip(context: Context) -> None:
    """Record that the task itself chose to skip; the `on_skipped_callback` of tasks that may end a run early.

    Airflow calls it only for a skip that the task raised, not for one that follows from another task or from a person.
    """
    context["ti"].xcom_push(ENDS_THE_RUN, True)


def check_not_aborted(context: Context, *, result: str, may_skip: list[str]) -> None:
    """Check that `result` was not skipped from outside the run.

    Parameters
    ----------
    result
        Id of the task that makes the run a success. Its failure is not reported again here.
    may_skip
        Ids of the tasks that may end a run early by skipping; their `on_skipped_callback` is `record_skip`.

    Raises
    ------
    AirflowFailException
        The result is skipped, and none of these tasks chose to skip.
    """
    ti = context["ti"]
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[result, *may_skip], run_ids=[ti.run_id])[ti.run_id]
    if states[result] != "skipped":
        return
    skipped = [task for task in may_skip if states[task] == "skipped"]
    if skipped and any(ti.xcom_pull(task_ids=skipped, key=ENDS_THE_RUN)):
        return
    raise AirflowFailException(
        f"{result} was skipped, but no task of the run chose to skip: the run was marked as failed or success by hand. "
        "Trigger a new run"
    )
