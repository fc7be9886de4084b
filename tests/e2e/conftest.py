"""The fixtures of the end-to-end tests."""

from tests.e2e.embedded_stack import first, photos, stack

__all__ = ["first", "photos", "stack"]
