"""Makes the fixtures of `s3_server` known to the tests of this folder."""

from tests.release.s3_server import bucket, s3, s3_environment

__all__ = ["bucket", "s3", "s3_environment"]
