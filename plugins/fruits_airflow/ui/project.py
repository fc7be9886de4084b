"""The project's bucket, as routes depend on it."""

from typing import Annotated

from fastapi import Depends

from fruits_airflow.bucket import Bucket
from fruits_airflow.settings import Settings


def project_bucket() -> Bucket:
    """Return the project's bucket, with the credentials of Airflow's connection."""
    settings = Settings.load()
    return Bucket.of(settings.bucket, region=settings.region)


BucketDep = Annotated[Bucket, Depends(project_bucket)]
