"""The seam between Airflow and Spark: names, parameters and manifests that both sides agree on.

Standard library only, because it is imported by Airflow workers, EMR nodes and the prediction service alike.
"""
