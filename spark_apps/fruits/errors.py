"""Errors with a name, so that a log's last line says what to do.

It must not know where they are raised.
"""


class FruitsError(Exception):
    """Base of the errors that a stage raises on purpose; the message says what was found, expected, and the way out."""


class UnreadableImage(FruitsError):
    """A photo that cannot be decoded; `reason` is a short code for counting, the message the detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class WrongExtractor(FruitsError):
    """Features of one extractor met a PCA of another."""


class TooFewImages(FruitsError):
    """A fit on fewer images than it needs."""


class EngineUnusable(FruitsError):
    """An engine that cannot run on this machine, or whose features differ too much from the reference's."""
