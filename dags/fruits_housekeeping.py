"""
### What runs leave behind is removed.

**What**: terminates every EMR cluster of this deployment whose DAG run is over, was deleted, or is older than a run may be.

**When**: every hour; or triggered by hand.

**Params**: none.

**Reads**: EMR's clusters and their tags, the states of DAG runs.

**Writes**: nothing.

**If it fails**: `end_orphaned_clusters` is red when it has found such a cluster: it is terminated, and the log names its run.
Find out why neither `terminate_cluster` nor EMR's idle limit has ended it.
"""

from datetime import datetime, timedelta

from airflow.sdk import dag, get_current_context, task


@dag(
    doc_md=__doc__,
    schedule="0 * * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    default_args={"owner": "fruits", "retries": 2, "retry_delay": timedelta(seconds=30)},
    tags=["fruits", "housekeeping"],
)
def fruits_housekeeping() -> None:
    """Wire the tasks: each stands for itself."""

    @task
    def end_orphaned_clusters() -> None:
        """Terminate the clusters whose DAG run is over, and fail if there was one."""
        from airflow.providers.amazon.aws.hooks.emr import EmrHook

        from fruits_airflow.emr.orphaned_clusters import check_for_orphans
        from fruits_airflow.settings import Settings

        settings = Settings.load()
        check_for_orphans(EmrHook(region_name=settings.region).conn, settings, get_current_context())

    end_orphaned_clusters()


fruits_housekeeping()
