"""Samples of embeddings, with what is known of each photo."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from services.drift.statistics.outcome import FloatArray
from shared.contracts.drift import INPUT_DIMENSIONS, Dimension
from shared.db.drift.samples import SampledPhoto


@dataclass(frozen=True, slots=True)
class Embeddings:
    """`vectors` `[N, D]`, and of each photo its id, tenant, segments, label and probability."""

    vectors: FloatArray
    ids: Sequence[UUID]
    tenants: Sequence[UUID]
    segments: Sequence[Mapping[Dimension, str]]
    labels: Sequence[str]
    probabilities: FloatArray

    def __len__(self) -> int:
        return len(self.vectors)

    def take(self, indices: NDArray[np.int64]) -> "Embeddings":
        """Return these photos of it."""
        chosen = [int(index) for index in indices]
        return Embeddings(
            self.vectors[indices],
            [self.ids[index] for index in chosen],
            [self.tenants[index] for index in chosen],
            [self.segments[index] for index in chosen],
            [self.labels[index] for index in chosen],
            self.probabilities[indices],
        )

    def files(self) -> list[tuple[str, ...]]:
        """Return each photo's kind of file: its values of the input dimensions together."""
        return [tuple(known[name] for name in INPUT_DIMENSIONS) for known in self.segments]


def by_scope(embeddings: Embeddings | None) -> dict[UUID | None, Embeddings]:
    """Return all photos under None, and each tenant's own under its id; empty without any."""
    if embeddings is None:
        return {}
    rows: dict[UUID, list[int]] = {}
    for row, tenant in enumerate(embeddings.tenants):
        rows.setdefault(tenant, []).append(row)
    scopes: dict[UUID | None, Embeddings] = {None: embeddings}
    scopes.update((tenant, embeddings.take(np.array(found))) for tenant, found in rows.items())
    return scopes


def from_sample(photos: Sequence[SampledPhoto]) -> Embeddings | None:
    """Return the photos as arrays, those of the commonest length; None when there are none."""
    lengths = [len(photo.embedding) for photo in photos]
    if not lengths:
        return None
    length = max(set(lengths), key=lengths.count)
    same = [photo for photo in photos if len(photo.embedding) == length]
    return Embeddings(
        np.array([photo.embedding for photo in same], np.float64),
        [photo.image_id for photo in same],
        [photo.tenant_id for photo in same],
        [photo.segments for photo in same],
        [photo.label for photo in same],
        np.array([photo.probability for photo in same], np.float64),
    )


def matched(reference: Embeddings, current: Embeddings) -> tuple[FloatArray, NDArray[np.int64]]:
    """Return weights of the reference `[n]` and indices of current photos, matched by file.

    The weights give the reference the current mix of files; the photos are those of whose kind of
    file the reference has any. Of other kinds it can say nothing.
    """
    before, now = reference.files(), current.files()
    n_before, n_now = Counter(before), Counter(now)
    kept = np.flatnonzero([kind in n_before for kind in now])
    weights = np.array([n_now[kind] / n_before[kind] for kind in before], np.float64)
    return weights, kept
