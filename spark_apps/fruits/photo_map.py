"""The photos that the report shows: their places on the maps, nearest neighbours and thumbnails."""

from dataclasses import dataclass, field

import numpy as np

from fruits.neighbours import embed, nearest_neighbours, trust
from fruits.projected_sample import PhotoSample

NEIGHBOURS = 8


@dataclass(frozen=True)
class PhotoMap:
    """A sample of the photos.

    Parameters
    ----------
    paths, labels : list of str, n of them
    pca : ndarray, shape (n, 2)
        The first two components; the second is 0 where there is only one.
    tsne : ndarray, shape (n, 2), or None for too few photos
    neighbours : ndarray, shape (n, up to `NEIGHBOURS`)
        Numbers of the nearest photos of the sample by all components, nearest first.
    trust : dict
        Trustworthiness by map, `pca` and `tsne`; None for too few photos.
    thumbnails : dict
        WebP by path; not of every photo.
    """

    paths: list[str]
    labels: list[str]
    pca: np.ndarray
    tsne: np.ndarray | None
    neighbours: np.ndarray
    trust: dict[str, float | None]
    thumbnails: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, sample: PhotoSample, thumbnails: dict[str, bytes]) -> "PhotoMap":
        """Arrange the photos of a sample."""
        pca = np.zeros((len(sample), 2))
        pca[:, : sample.vectors.shape[1]] = sample.vectors[:, :2]
        tsne = embed(sample.vectors)
        maps = {"pca": pca} if tsne is None else {"pca": pca, "tsne": tsne}
        return cls(
            paths=sample.paths.tolist(),
            labels=sample.labels.tolist(),
            pca=pca,
            tsne=tsne,
            neighbours=nearest_neighbours(sample.vectors, count=NEIGHBOURS),
            trust={name: trust(sample.vectors, coordinates, count=NEIGHBOURS) for name, coordinates in maps.items()},
            thumbnails=thumbnails,
        )

    def to_data(self) -> dict[str, object]:
        """Return the map as plain data, one list per column, without thumbnails."""
        return {
            "paths": self.paths,
            "labels": self.labels,
            "pca": self.pca.round(4).tolist(),
            "tsne": None if self.tsne is None else self.tsne.round(3).tolist(),
            "neighbours": self.neighbours.tolist(),
            "trustworthiness": self.trust,
        }
