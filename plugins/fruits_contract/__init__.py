"""The contract between Airflow and Spark: names, parameters and manifests that both sides agree on.

Standard library only, because Airflow workers and EMR nodes import it.
"""
