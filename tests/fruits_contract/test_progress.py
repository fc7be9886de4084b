"""A line says how far a stage is, how fast it is and when it will be done, as far as that is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruits_contract.progress import Progress


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (Progress(what="reading features", seconds=12.3), "reading features, 12 s"),
        (Progress(what="featurizing", total=4320, unit="photos", seconds=2), "featurizing: 0 of 4,320 photos in 2 s"),
        (
            Progress(what="featurizing", done=1080, total=4320, unit="photos", seconds=5, per_second=216),
            "featurizing: 1,080 of 4,320 photos in 5 s, 216 photos/s, about 15 s left",
        ),
        (
            Progress(what="featurizing", done=100_000, total=1_000_000, unit="photos", seconds=400, per_second=250),
            "featurizing: 100,000 of 1,000,000 photos in 7 min, 250 photos/s, about 60 min left",
        ),
        (Progress(what="projecting", done=1, total=4, seconds=9), "projecting: 1 of 4 tasks in 9 s"),
        (
            Progress(what="projecting", done=2, total=4, seconds=18, per_second=0.1),
            "projecting: 2 of 4 tasks in 18 s, about 20 s left",
        ),
        (Progress(what="projecting", done=4, total=4, seconds=40, per_second=0.1), "projecting: 4 of 4 tasks in 40 s"),
    ],
)
def test_the_line(progress: Progress, line: str) -> None:
    assert progress.summary() == line


@given(st.builds(Progress, what=st.text(), unit=st.text(), seconds=st.floats(allow_nan=False, allow_infinity=False)))
def test_json_gives_the_same_back(progress: Progress) -> None:
    assert Progress.from_json(progress.to_json()) == progress
