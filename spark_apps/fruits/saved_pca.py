"""Saves and loads PCAs: arrays and a card, below `models/pca/<model_id>/`."""

import json
from dataclasses import asdict, dataclass

import numpy as np

from fruits.errors import WrongExtractor
from fruits.pca import Pca
from fruits.storage import Storage
from fruits_contract import layout


@dataclass(frozen=True)
class PcaCard:
    """What a person and a check need to know of a PCA without loading it."""

    model_id: str
    extractor: str
    k: int
    explained: float
    count: int
    requested_variance: float
    requested_components: int
    created_at: str


def save_pca(storage: Storage, pca: Pca, card: PcaCard) -> None:
    """Write the arrays, then the card."""
    storage.write_arrays(
        layout.pca_arrays(card.model_id),
        {"mean": pca.mean, "components": pca.components, "spectrum": pca.spectrum, "count": np.array(pca.count)},
    )
    storage.write(layout.pca_card(card.model_id), json.dumps(asdict(card), indent=1) + "\n")


def read_card(storage: Storage, model_id: str) -> PcaCard:
    """Read a PCA's card; one of an earlier release has `asked_...` for `requested_...`."""
    card = json.loads(storage.read(layout.pca_card(model_id)))
    return PcaCard(**{name.replace("asked_", "requested_"): value for name, value in card.items()})


def load_pca(storage: Storage, model_id: str, *, extractor: str) -> Pca:
    """Load a PCA for features of `extractor`.

    Raises
    ------
    WrongExtractor
        When the PCA was fitted on the features of another extractor: the two spaces have nothing to do with each other.
    """
    card = read_card(storage, model_id)
    if card.extractor != extractor:
        raise WrongExtractor(
            f"PCA {model_id} was fitted on features of extractor {card.extractor[:12]}, this run's are of "
            f"{extractor[:12]}; trigger a run with mode=fit"
        )
    arrays = storage.read_arrays(layout.pca_arrays(model_id))
    return Pca(arrays["mean"], arrays["components"], arrays["spectrum"], int(arrays["count"]))
