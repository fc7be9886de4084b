"""Only one large photo is decoded at a time."""

import threading
import time

import pytest

from fruits import large_photos
from fruits.errors import TurnUnavailable
from fruits.large_photos import turn_of_large_photo


def test_the_turn_is_taken_until_its_end_also_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    # Blocking would only show as a test that hangs.
    flock = large_photos.fcntl.flock
    monkeypatch.setattr(large_photos.fcntl, "flock", lambda file, kind: flock(file, kind | large_photos.fcntl.LOCK_NB))
    with turn_of_large_photo(), pytest.raises(TurnUnavailable), turn_of_large_photo():
        pass
    with pytest.raises(ValueError, match="damaged"), turn_of_large_photo():
        raise ValueError("damaged")
    with turn_of_large_photo():
        pass


def test_threads_take_turns() -> None:
    under_way: list[int] = []
    seen: list[int] = []

    def decode(number: int) -> None:
        for _ in range(50):
            with turn_of_large_photo():
                under_way.append(number)
                time.sleep(0.001)
                seen.append(len(under_way))
                under_way.remove(number)

    threads = [threading.Thread(target=decode, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [1] * 200
