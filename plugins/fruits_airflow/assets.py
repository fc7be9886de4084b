"""The data that DAGs announce to each other."""

from airflow.sdk import Asset

FEATURES = Asset(name="fruits_features", uri="fruits://tables/features")
