"""Pages inside Airflow: all runs, their reports, model cards and the logs of steps (docs/decisions/0021)."""
