"""Reads fruit and condition out of the name of a folder of photos, by the words in `taxonomy.toml`."""

import importlib.resources
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

ANYWHERE_LETTERS = 5  # a word of this length or more also counts inside another one


@dataclass(frozen=True)
class Meaning:
    """What the label of a photo, its folder's name, says about it."""

    variety: str
    fruit: str
    condition: str

    def answer(self, head: str) -> str:
        """Return the class for a head of the classifier (`fruits.classifier.HEADS`)."""
        answer: str = getattr(self, head)
        return answer


@dataclass(frozen=True)
class Word:
    """A word and what it means."""

    text: str
    meaning: str

    def position(self, name: str) -> int | None:
        """Return where the word begins in a lower-case name, or None."""
        edge = "" if len(self.text) >= ANYWHERE_LETTERS else r"\b"
        found = re.search(f"{edge}{re.escape(self.text)}s?{edge}", name)
        return found.start() if found else None


@dataclass(frozen=True)
class Taxonomy:
    """The words for fruits and conditions."""

    fruits: tuple[Word, ...]
    conditions: tuple[Word, ...]
    default_condition: str

    def meaning_of(self, label: str) -> Meaning:
        """Return what a label means; a fruit that is not known is called by the first word of the label."""
        name = re.sub(r"[^a-z]+", " ", label.lower()).strip()
        condition = _first(self.conditions, name)
        if condition:
            name = name.replace(condition.text, " ").strip()
        fruit = _first(self.fruits, name)
        return Meaning(
            variety=label,
            fruit=fruit.meaning if fruit else name.split(" ")[0] or label,
            condition=condition.meaning if condition else self.default_condition,
        )


def _first(words: Iterable[Word], name: str) -> Word | None:
    """Return the word that begins first in `name`, the longest of those that begin there; None where there is none."""
    positions = {word: word.position(name) for word in words}
    found = [(position, -len(word.text), word) for word, position in positions.items() if position is not None]
    return min(found, key=lambda item: item[:2])[2] if found else None


@cache
def load() -> Taxonomy:
    """Return the project's taxonomy."""
    data = tomllib.loads((importlib.resources.files("fruits") / "taxonomy.toml").read_text())
    fruits = [Word(fruit, fruit) for fruit in {*data["known"]["fruits"], *data["fruits"]}]
    fruits += [Word(text, fruit) for fruit, texts in data["fruits"].items() for text in texts]
    conditions = [Word(text, condition) for condition, texts in data["conditions"].items() for text in texts]
    return Taxonomy(tuple(fruits), tuple(conditions), data["default_condition"])
