"""The fixtures of the end-to-end tests."""

from tests.e2e.embedded_stack import first, photos, stack
from tests.e2e.training import condition_photos, trained

__all__ = ["condition_photos", "first", "photos", "stack", "trained"]
