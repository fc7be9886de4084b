"""Named errors whose message, the last line of a log, holds what was found, what was expected, and what to do."""


class FruitsError(Exception):
    """Base of the errors that a stage raises on purpose."""


class UnreadableImage(FruitsError):
    """A photo that cannot be decoded; `reason` is a short code for counting, the message the detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class WrongExtractor(FruitsError):
    """Features and PCA are of different extractors."""


class TooFewImages(FruitsError):
    """A fit on fewer images than it needs."""


class EngineUnusable(FruitsError):
    """An engine that cannot run on this machine."""


class NothingToTrain(FruitsError):
    """Published features that no classifier can be trained or tested on."""


class InvalidClassifier(FruitsError):
    """Bytes that are not the arrays of a classifier."""
