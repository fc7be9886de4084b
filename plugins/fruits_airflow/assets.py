"""The data that DAGs announce to each other."""

from airflow.sdk import Asset

# A scheme starting with "x-" is one of our own. For any other, Airflow imports every provider that may know it.
FEATURES_PUBLISHED = Asset(name="fruits_features", uri="x-fruits://tables/features")
