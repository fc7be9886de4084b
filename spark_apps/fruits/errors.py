"""Named errors whose message, the last line of a log, holds what was found, what was expected, and what to do."""


class FruitsError(Exception):
    """Base of the errors that a stage raises on purpose."""


# The codes of `UnreadableImage`, and what they mean.
REASONS = {
    "empty": "0 bytes",
    "missing": "deleted after the run was planned",
    "unreadable_key": "the key, or the name in a shard, has a control character, a backslash, or an empty, `.` or `..` segment",
    "damaged_shard": "a shard that is cut off or no tar file; its photos before the damage are taken",
    "wrong_digest": "the bytes in the shard are not those of its index",
    "too_many_bytes": "more bytes than the limit; not read",
    "not_an_image": "no known format",
    "format_not_allowed": "a known format that is not allowed",
    "decoder_missing": "an allowed format whose compression or pixel format this build of Pillow lacks",
    "truncated": "damaged or cut off",
    "too_many_pixels": "more pixels than the limit, by its header; not decoded",
    "too_slow_to_decode": "decoding took more CPU time than the limit",
    "too_much_memory": "decoding needs more memory than there is",
}


class UnreadableImage(FruitsError):
    """A photo that cannot be decoded.

    Parameters
    ----------
    reason
        One of `REASONS`, to count by.
    detail
        What was found, for the person who looks at the reject.
    """

    def __init__(self, reason: str, detail: str) -> None:
        assert reason in REASONS, f"{reason} is not in REASONS"
        super().__init__(detail)
        self.reason = reason


class ShardReplaced(FruitsError):
    """A shard that is not the one that was planned."""


class TurnUnavailable(FruitsError):
    """A machine on which large photos cannot take turns."""


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
