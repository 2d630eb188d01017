"""What a stored verdict rests on: the photo's pixels, or what its file states."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from shared.contracts.states import Basis


class Rests(NamedTuple):
    """A verdict's basis, and the probability that the pixels alone gave."""

    basis: Basis
    pixels_probability: float


def rests_on(evidence: Sequence[dict[str, Any]], probability: float) -> Rests:
    """Return what a verdict of `probability` with this `evidence` rests on.

    A statement that decided left an entry `conclusion`, which keeps what the pixels gave.
    """
    for entry in evidence:
        if entry.get("kind") == "conclusion":
            return Rests(Basis.STATEMENT, float(entry["pixels"]["probability"]))
    return Rests(Basis.PIXELS, probability)
