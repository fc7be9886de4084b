"""Turns a photo's features into the answer of the service."""

from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from fruits.classifier import inputs_of
from serving.models import CurrentModel
from serving.photo_workers import PhotoFeatures

TOP = 5
Verdict = Literal["sure", "not_sure", "unknown"]


class Candidate(BaseModel):
    """One possible answer."""

    name: str = Field(examples=["Apple Red 1"])
    probability: float = Field(ge=0, le=1, description="Calibrated.", examples=[0.93])


class HeadAnswer(Candidate):
    """The likeliest answer to one question, and the next ones."""

    is_sure: bool = Field(description="Whether the probability reaches the classifier's threshold.")
    top: list[Candidate] = Field(description="Up to five, the likeliest first.")


class ModelIds(BaseModel):
    """The models that gave the answer."""

    classifier: str = Field(examples=["59630046eb9fd92f"])
    extractor: str = Field(description="sha256 of the network.")


class Milliseconds(BaseModel):
    """Where the time went."""

    decode: float
    network: float
    total: float


class Answer(BaseModel):
    """What is on the photo."""

    verdict: Verdict = Field(
        description="sure: fruit and variety reach the threshold. not_sure: one of them does not. unknown: the photo is far from "
        "everything that the classifier was trained on; its other answers mean little."
    )
    fruit: HeadAnswer | None = Field(description="null where the classifier knows a single fruit.")
    variety: HeadAnswer
    condition: HeadAnswer | None = Field(description="fresh, unripe, damaged, rotten; null where it knows a single one.")
    distance: float = Field(description="To the nearest variety; above the classifier's limit the verdict is unknown.")
    models: ModelIds
    milliseconds: Milliseconds


def answer_of(model: CurrentModel, photo: PhotoFeatures, *, total_ms: float) -> Answer:
    """Return the answer of the current classifier for a photo."""
    classifier = model.classifier
    inputs = inputs_of(photo.features[None], photo.colors[None])
    probabilities = classifier.probabilities(inputs)
    heads = {
        name: _head_answer(head.classes, probabilities[name][0], sure_above=classifier.sure_above)
        for name, head in classifier.heads.items()
    }
    distance = float(classifier.familiarity.distances(inputs)[0])
    is_sure = heads["variety"].is_sure and ("fruit" not in heads or heads["fruit"].is_sure)
    verdict: Verdict = "sure" if is_sure else "not_sure"
    if not distance <= classifier.familiarity.unknown_above:  # also where it is NaN
        verdict = "unknown"
    return Answer(
        verdict=verdict,
        fruit=heads.get("fruit"),
        variety=heads["variety"],
        condition=heads.get("condition"),
        distance=round(distance, 4),
        models=ModelIds(classifier=model.model_id, extractor=classifier.extractor),
        milliseconds=Milliseconds(decode=round(photo.decode_ms, 2), network=round(photo.network_ms, 2), total=round(total_ms, 2)),
    )


def _head_answer(classes: tuple[str, ...], probabilities: np.ndarray, *, sure_above: float) -> HeadAnswer:
    likeliest = np.argsort(-probabilities, kind="stable")[:TOP]
    top = [Candidate(name=classes[number], probability=round(min(float(probabilities[number]), 1), 4)) for number in likeliest]
    return HeadAnswer(
        name=top[0].name,
        probability=top[0].probability,
        is_sure=bool(probabilities[likeliest[0]] >= sure_above),
        top=top,
    )
