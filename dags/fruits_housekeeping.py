"""
### Removes what runs leave behind.

**What**: terminates every EMR cluster of this deployment whose DAG run is over, was deleted, or is older than a run may be.
Compacts small files of the published tables, and deletes files that no table version of the last five days refers to.
Deletes photos, and what belongs to contributed ones, 11 days after their receipt, in all versions; checks once a day.
Completes a daily drop that has contributed photos only, in the last hour that its run waits.
Erases the contributions that were requested to be erased, everywhere, and writes a certificate.

**When**: every hour; or triggered by hand.

**Params**: none.

**Reads**: EMR's clusters and their tags, the states of DAG runs, `tables/`, all versions below `raw/` and `contributions/`;
where there are requests below `erasures/requests/`, all versions of everything.

**Writes**: `tables/`, `raw/`, `contributions/`, `retention.json`; the cost of a terminated cluster below `runs/` and `costs/`;
for an erasure also `runs/`, `logs/`, `models/`, `erasures/`.

**If it fails**: `terminate_orphaned_clusters` fails when it has found such a cluster. It is terminated; the log names its run.
Find out why neither `terminate_cluster` nor EMR's idle limit has ended it. `maintain_tables` is tried again an hour later.
`enforce_retention` fails when it has found something that was kept for 15 days or longer: it is deleted, and an hour later the
task checks again. The page "Retention" of "Fruit runs" shows the last check.
`erase_contributions` is tried again an hour later; the request stays until everything is erased. It is skipped where there is no
request, and while it waits for a run; after an erasure from the features, `fruits_classifier` starts.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import dag, get_current_context, task

from fruits_airflow.assets import FEATURES_PUBLISHED


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
    """Wire the tasks, which are independent."""

    @task(task_display_name="Terminate orphaned clusters")
    def terminate_orphaned_clusters() -> None:
        """Terminate the clusters whose DAG run is over, and fail if there was one."""
        from airflow.providers.amazon.aws.hooks.emr import EmrHook

        from fruits_airflow.emr.orphaned_clusters import check_for_orphans
        from fruits_airflow.settings import Settings

        settings = Settings.load()
        check_for_orphans(EmrHook(region_name=settings.region).conn, settings, get_current_context())

    @task(task_display_name="Maintain tables")
    def maintain_tables() -> None:
        """Compact small files of the published tables, and delete files that nobody needs any more."""
        from fruits_airflow.bucket import Bucket
        from fruits_airflow.maintenance import maintain_tables as maintain
        from fruits_airflow.settings import Settings

        settings = Settings.load()
        maintain(Bucket.of(settings.bucket, region=settings.region))

    @task(task_display_name="Enforce retention")
    def enforce_retention() -> None:
        """Delete photos whose time is over, and fail if one was kept for longer than promised."""
        from fruits_airflow.bucket import Bucket
        from fruits_airflow.retention import enforce_retention as enforce
        from fruits_airflow.settings import Settings

        settings = Settings.load()
        enforce(Bucket.of(settings.bucket, region=settings.region), now=datetime.now(UTC))

    @task(task_display_name="Complete contributed drop")
    def complete_contributed_drop() -> None:
        """Put `_READY` into a daily drop that has contributed photos only, in the last hour that its run waits."""
        from fruits_airflow.bucket import Bucket
        from fruits_airflow.contributed_drop import complete_contributed_drops
        from fruits_airflow.settings import Settings

        settings = Settings.load()
        bucket = Bucket.of(settings.bucket, region=settings.region)
        complete_contributed_drops(bucket, settings, now=datetime.now(UTC))

    @task(task_display_name="Erase contributions", outlets=[FEATURES_PUBLISHED])
    def erase_contributions() -> None:
        """Erase the contributions that were requested to be erased; skip, and announce no features, where none were changed."""
        from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

        from fruits_airflow.bucket import Bucket
        from fruits_airflow.erasure.erase import erase_contributions as erase
        from fruits_airflow.erasure.runs_under_way import is_run_under_way
        from fruits_airflow.settings import Settings

        settings = Settings.load()
        bucket = Bucket.of(settings.bucket, region=settings.region)
        ti: Any = get_current_context()["ti"]
        outcome = erase(bucket, is_run_under_way=lambda: is_run_under_way(bucket, ti))
        if outcome.needs_training:
            return  # a failed task announces nothing; whatever else is wrong, the next hour finds it again
        if outcome.late or outcome.invalid:
            raise AirflowFailException(
                f"{outcome.late} erasure requests have waited for days because a run is queued or running; {outcome.invalid} "
                "objects below erasures/requests/ are not valid requests (docs/runbook.md)"
            )
        raise AirflowSkipException(f"{outcome.done} requests are done and {outcome.waiting} wait; no features were erased")

    terminate_orphaned_clusters()
    maintain_tables()
    enforce_retention()
    complete_contributed_drop()
    erase_contributions()


fruits_housekeeping()
