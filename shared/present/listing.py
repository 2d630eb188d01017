"""The verdict on a listing: its photos taken together."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from shared.contracts.states import Basis, Label
from shared.contracts.wire.jobs import ListingVerdict

# The gravest first: one generated photo is enough to look at the listing.
_GRAVITY = (Label.AI_GENERATED, Label.UNCERTAIN, Label.REAL)


@dataclass(frozen=True, slots=True)
class JudgedPhoto:
    """What counts of one judged photo."""

    image_id: UUID
    filename: str
    label: Label
    probability: float
    # A person decided: `label` is theirs, `probability` 0 or 1.
    reviewed: bool = False
    # What decided the verdict, unless a person did.
    basis: Basis = Basis.PIXELS


def listing_verdict(photos: Sequence[JudgedPhoto], unjudged: int) -> ListingVerdict | None:
    """Return the verdict on a finished listing, None when no photo could be judged.

    Any `ai_generated` photo decides, else any `uncertain` one, else it is `real`. Of several photos
    with the deciding label the one with the highest probability is named. `unjudged` photos of the
    listing have no verdict; the reason mentions them.
    """
    for label in _GRAVITY:
        deciding = [photo for photo in photos if photo.label == label]
        if deciding:
            photo = max(deciding, key=lambda each: each.probability)
            return ListingVerdict(
                label=label,
                probability=max(each.probability for each in photos),
                reason=_reason(photo, len(deciding), len(photos), unjudged),
                image_id=photo.image_id,
                basis=None if photo.reviewed else photo.basis,
            )
    return None


def _reason(photo: JudgedPhoto, deciding: int, judged: int, unjudged: int) -> str:
    chance = f"'{photo.filename}' with probability {photo.probability:.2f}"
    if photo.basis == Basis.STATEMENT:
        chance = f"'{photo.filename}' by what its file states"
    if photo.reviewed:
        chance = f"'{photo.filename}' by a reviewer's decision"
    match photo.label:
        case Label.AI_GENERATED:
            text = f"{deciding} of {judged} judged photos AI-generated, most clearly {chance}."
        case Label.UNCERTAIN:
            text = (
                f"No photo AI-generated, but {deciding} of {judged} judged photos uncertain,"
                f" most of all {chance}."
            )
        case Label.REAL:
            text = f"All {judged} judged photos real; least clearly {chance}."
    return text + (f" {unjudged} more could not be judged." if unjudged else "")
