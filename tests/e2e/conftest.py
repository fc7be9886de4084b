"""The fixtures of the end-to-end tests."""

from tests.e2e.embedded_stack import photos, stack

__all__ = ["photos", "stack"]
