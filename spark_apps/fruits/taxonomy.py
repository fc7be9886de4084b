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
        found = re.search(self._pattern, name)
        return found.start() if found else None

    def removed_from(self, name: str) -> str:
        """Return a lower-case name without the word."""
        return re.sub(self._pattern, " ", name).strip()

    @property
    def _pattern(self) -> str:
        """Matches a short word only where it stands alone, with or without a plural s."""
        text = re.escape(self.text)
        return text if len(self.text) >= ANYWHERE_LETTERS else rf"\b{text}s?\b"


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
            name = condition.removed_from(name)
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
