"""What is held out depends on names alone, keeps near copies together, and leaves every label photos to train on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fruits.held_out import Frame, NameCounts, Split, frame_of, is_in_share

LABEL = "Apple 1"


def paths(*names: str) -> list[str]:
    return [f"raw/first/{LABEL}/{name}" for name in names]


def held_out(names: list[str]) -> list[str]:
    split = Split({LABEL: NameCounts.of(names)})
    return [name.rsplit("/", 1)[-1] for name in names if split.is_held_out(name, LABEL)]


@pytest.mark.parametrize(
    ("name", "frame"),
    [
        ("12_100.jpg", Frame("", 12)),
        ("r_7_100.jpg", Frame("r", 7)),
        ("r2_300_100.jpg", Frame("r2", 300)),
        ("12.jpg", None),
        ("rotated_by_15_Screen Shot 2018-06-08.png", None),
        ("r0_117.jpg", Frame("r0", 117)),
        ("IMG_20260101_100.jpg", None),
        ("20231005_143015.jpg", None),
    ],
)
def test_a_name_states_axis_and_frame(name: str, frame: Frame | None) -> None:
    assert frame_of(f"raw/first/Apple 1/{name}") == frame


def test_the_last_axis_is_held_out_whole() -> None:
    names = paths(*(f"{axis}{number}_100.jpg" for axis in ("", "r_", "r2_") for number in range(5)))
    assert held_out(names) == [f"r2_{number}_100.jpg" for number in range(5)]


def test_of_a_single_axis_the_last_quarter_of_the_frames_is() -> None:
    names = paths(*(f"{number}_100.jpg" for number in range(300, 321)))
    assert held_out(names) == [f"{number}_100.jpg" for number in range(316, 321)]
    assert held_out(paths("7_100.jpg")) == []


def test_other_photos_are_held_out_with_their_copies() -> None:
    originals = [f"Screen Shot {number}.png" for number in range(200)]
    share = [name for name in originals if is_in_share(name)]
    assert 30 <= len(share) <= 70
    for name in originals:
        assert is_in_share(f"x/rotated_by_15_{name}") == is_in_share(f"y/saltandpepper_{name}") == (name in share)


def test_a_label_always_keeps_photos_to_train_on() -> None:
    (in_share,) = [name for name in (f"{number}.png" for number in range(100)) if is_in_share(name)][:1]
    assert held_out(paths(in_share)) == []


names = st.lists(
    st.one_of(
        st.builds("{}{}_100.jpg".format, st.sampled_from(["", "r_", "r0_", "r1_"]), st.integers(0, 400)),
        st.builds("IMG {}.jpg".format, st.integers(0, 400)),
    ),
    min_size=1,
    unique=True,
)


@given(names)
def test_something_is_left_to_train_on(chosen: list[str]) -> None:
    assert len(held_out(paths(*chosen))) < len(chosen)


@given(names, st.integers(0, 50))
def test_counts_add_up_over_files(chosen: list[str], cut: int) -> None:
    assert NameCounts.of(chosen[:cut]).merge(NameCounts.of(chosen[cut:])) == NameCounts.of(chosen)
