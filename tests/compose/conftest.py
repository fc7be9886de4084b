"""The fixtures of the docker-compose tests."""

from tests.compose.composed import composed
from tests.e2e.embedded_stack import photos

__all__ = ["composed", "photos"]
