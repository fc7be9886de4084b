"""Waits for a drop of photos to be complete."""

from typing import Any

from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException
from airflow.sdk import Context

from fruits_airflow.settings import Settings
from fruits_contract import layout


class WaitForDropSensor(S3KeySensor):
    """`S3KeySensor` for a drop's `_READY`, deferred; a drop that does not arrive in time skips the run.

    Bucket, poll interval and timeout are settings of the deployment.

    Parameters
    ----------
    bucket_key
        Key of the drop's `_READY`. (templated)
    """

    custom_operator_name = "S3KeySensor"

    def __init__(self, *, bucket_key: str, **kwargs: Any) -> None:
        super().__init__(bucket_key=bucket_key, deferrable=True, **kwargs)

    def execute(self, context: Context) -> None:
        """Check once, then defer."""
        settings = Settings.load()
        layout.check_name(str(self.bucket_key).split("/")[1], what="drop")
        self.bucket_name = settings.bucket
        self.region_name = self.region_name or settings.region
        self.poke_interval = settings.poll_s
        self.timeout = settings.wait_for_drop_s
        self.log.info("Waiting up to %s s for %s", settings.wait_for_drop_s, layout.uri(settings.bucket, str(self.bucket_key)))
        super().execute(context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Continue after the wait; a timeout skips the run.

        Not `soft_fail`, because that skips on any error, such as missing rights on the bucket.
        """
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSensorTimeout as error:
            self.log.info("%s has not arrived in the waiting time: nothing to do", self.bucket_key)
            raise AirflowSkipException(f"{self.bucket_key} has not arrived") from error
