"""What the fuzzer found worth keeping is decoded or refused, as it was when it was found (`make fuzz` finds more)."""

from pathlib import Path

import numpy as np
import pytest

from fruits.errors import UnreadableImage
from fruits.vision import decode

CORPUS = sorted(Path(__file__).with_name("corpus").iterdir())


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.name[:12])
def test_an_input_is_a_picture_or_a_reason(file: Path) -> None:
    try:
        image, _, _ = decode(file.read_bytes())
    except UnreadableImage as error:
        assert str(error)
    else:
        assert np.isfinite(image).all()


def test_there_are_inputs() -> None:
    assert len(CORPUS) >= 20
    assert sum(file.stat().st_size for file in CORPUS) <= 64_000
