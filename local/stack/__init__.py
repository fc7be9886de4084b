"""The services of one machine as supervised processes: S3, EMR, Airflow, and YARN on request."""


class StackError(Exception):
    """The services cannot be started or used; the message says why, which log to read and what to do."""
