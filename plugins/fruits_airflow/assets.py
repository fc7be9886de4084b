"""The data that DAGs announce to each other."""

from airflow.sdk import Asset

# "x-": a scheme of our own. For any other, Airflow looks for a provider that knows it, which loads all of them, boto3 included.
FEATURES = Asset(name="fruits_features", uri="x-fruits://tables/features")
