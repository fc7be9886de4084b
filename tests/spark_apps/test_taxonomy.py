"""The names of folders, of this data set and of others, give fruit and condition."""

import pytest

from fruits import taxonomy


@pytest.mark.parametrize(
    ("label", "fruit", "condition"),
    [
        ("Apple 10", "apple", "fresh"),
        ("Apple Rotten 1", "apple", "rotten"),
        ("Apple worm 1", "apple", "damaged"),
        ("Apple hit 1", "apple", "damaged"),
        ("Tomato Cherry Red 1", "tomato", "fresh"),
        ("cherry tomatoes", "tomato", "fresh"),
        ("Cherry Wax Red 3", "cherry", "fresh"),
        ("freshapples", "apple", "fresh"),
        ("rottenbanana", "banana", "rotten"),
        ("rottenlimes", "lime", "rotten"),
        ("unripe orange", "orange", "unripe"),
        ("unripe-Banana", "banana", "unripe"),
        ("rottenpineapples", "pineapple", "rotten"),
        ("Pepper Orange 1", "pepper", "fresh"),
        ("Grapefruit Pink", "grapefruit", "fresh"),
        ("Passion Fruit 1", "passion fruit", "fresh"),
        ("Mulberries", "mulberry", "fresh"),
        ("Synthetic Apple", "apple", "fresh"),
        ("Yuzu 3", "yuzu", "fresh"),
        ("Tomato not Ripened 1", "tomato", "unripe"),
        ("notripe mango", "mango", "unripe"),
        ("half ripe mango", "mango", "unripe"),
        ("Blackberrie not rippen 1", "blackberry", "unripe"),
        ("Apple_Bad", "apple", "rotten"),
        ("not fresh apple", "apple", "rotten"),
        ("Strawberry Wedge 1", "strawberry", "fresh"),
        ("Apple Golden 1", "apple", "fresh"),
        ("Strawberry raw", "strawberry", "unripe"),
        ("Goldrenette old", "goldrenette", "rotten"),
        ("rotten yuzu", "yuzu", "rotten"),
        ("123", "123", "fresh"),
    ],
)
def test_a_label_means_a_fruit_and_a_condition(label: str, fruit: str, condition: str) -> None:
    assert taxonomy.load().meaning_of(label) == taxonomy.Meaning(label, fruit, condition)


@pytest.mark.parametrize("label", ["Carrot 1", "Whitefish", "Update", "Figure"])
def test_a_short_word_inside_another_means_nothing(label: str) -> None:
    meaning = taxonomy.load().meaning_of(label)
    assert meaning.condition == "fresh"
    assert meaning.fruit == label.split(" ")[0].lower()


def test_every_word_means_itself() -> None:
    known = taxonomy.load()
    assert {known.meaning_of(word.text).fruit for word in known.fruits} == {word.meaning for word in known.fruits}
    for word in known.conditions:
        assert known.meaning_of(f"{word.text} apple") == taxonomy.Meaning(f"{word.text} apple", "apple", word.meaning)
