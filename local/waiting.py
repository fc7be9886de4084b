"""Waiting for a condition."""

from collections.abc import Callable

import tenacity


def wait_until(condition: Callable[[], object], *, timeout_s: float, every_s: float = 0.2) -> bool:
    """Evaluate the condition until it is true; return False if that takes too long."""
    retry = tenacity.Retrying(
        stop=tenacity.stop_after_delay(timeout_s),
        wait=tenacity.wait_fixed(every_s),
        retry=tenacity.retry_if_not_result(bool),
        retry_error_callback=lambda state: False,
    )
    return bool(retry(condition))
