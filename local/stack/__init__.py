"""The services of one machine: S3, EMR, Airflow, and YARN when asked for, as supervised processes."""
