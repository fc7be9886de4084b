"""A saved PCA is loaded as it was, and never for features of another extractor."""

import json

import numpy as np
import pytest

from fruits.errors import WrongExtractor
from fruits.pca import Moments, Pca, fit
from fruits.saved_pca import PcaCard, load_pca, read_card, save_pca
from fruits.storage import Storage
from fruits_contract import layout

pytestmark = [pytest.mark.slow, pytest.mark.spark4]
CARD = PcaCard("p1", "e" * 64, 3, 0.75, 30, 0.7, 0, "2026-11-22T03:00:00+00:00")


@pytest.fixture
def pca(storage: Storage) -> Pca:
    """A PCA that was saved."""
    made = fit(Moments.of(np.random.default_rng(0).normal(size=(30, 6))), components=3)
    save_pca(storage, made, CARD)
    return made


def test_a_saved_pca_is_loaded_as_it_was(pca: Pca, storage: Storage) -> None:
    loaded = load_pca(storage, "p1", extractor=CARD.extractor)
    for name in ("mean", "components", "spectrum"):
        assert (getattr(loaded, name) == getattr(pca, name)).all()
    assert loaded.count == pca.count
    assert read_card(storage, "p1") == CARD


def test_a_card_of_an_earlier_release_is_read(storage: Storage) -> None:
    card = {name.replace("requested_", "asked_"): value for name, value in CARD.__dict__.items()}
    assert "asked_variance" in card
    storage.write(layout.pca_card("p0"), json.dumps(card))
    assert read_card(storage, "p0") == CARD


def test_a_pca_of_another_extractor_is_refused(pca: Pca, storage: Storage) -> None:
    message = r"PCA p1 was fitted on features of extractor eeeeeeeeeeee, this run's are of 000000000000; .*mode=fit"
    with pytest.raises(WrongExtractor, match=message):
        load_pca(storage, "p1", extractor="0" * 64)


def test_a_pca_that_is_not_there_is_named(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError, match=r"s3://first/models/pca/nobody/card\.json is missing"):
        load_pca(storage, "nobody", extractor="0" * 64)
