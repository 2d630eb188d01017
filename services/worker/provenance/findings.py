"""What reading a photo's metadata can find, and how far each finding can be believed."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a finding was read from."""

    C2PA = "c2pa"
    DIGITAL_SOURCE_TYPE = "digital_source_type"
    AIGC_LABEL = "aigc_label"
    GENERATOR_PARAMETERS = "generator_parameters"
    SOFTWARE = "software"
    CAMERA = "camera"
    PROVENANCE = "provenance"  # the file's metadata as a whole, which could not be read at all


class Says(StrEnum):
    """What a finding says of how the photo came to be."""

    AI_GENERATED = "ai_generated"
    AI_EDITED = "ai_edited"  # a photo with generated parts
    CAMERA = "camera"
    NOTHING = "nothing"


class Strength(StrEnum):
    """How far a finding can be believed."""

    SIGNED_TRUSTED = "signed_trusted"  # intact, by a signer under one of our trust anchors
    SIGNED = "signed"  # intact: what the signer wrote, but anybody may be the signer
    DECLARED = "declared"  # plain metadata: anybody can write or remove it
    BROKEN = "broken"  # signed once, and changed since
    UNREAD = "unread"  # there, but it could not be read


@dataclass(frozen=True, slots=True)
class Finding:
    """One entry of a verdict's `evidence`.

    `detail` is a sentence for people, `found` the facts behind it, JSON-ready.
    """

    kind: Kind
    says: Says
    strength: Strength
    detail: str
    found: dict[str, Any] = field(default_factory=dict)

    def entry(self) -> dict[str, Any]:
        """Return the JSON-ready entry."""
        return {
            "kind": self.kind.value,
            "says": self.says.value,
            "strength": self.strength.value,
            "detail": self.detail,
            "found": self.found,
        }

    @classmethod
    def from_entry(cls, entry: dict[str, Any]) -> "Finding":
        """Return the finding of an `entry`; raises KeyError or ValueError for anything else."""
        return cls(
            Kind(entry["kind"]),
            Says(entry["says"]),
            Strength(entry["strength"]),
            entry["detail"],
            entry["found"],
        )


def shown(text: str, limit: int = 300) -> str:
    """Return `text` in a form that evidence can carry: printable, storable, and not endless."""
    clean = "".join(char if char.isprintable() else " " for char in text[: limit * 4])
    clean = " ".join(clean.encode("utf-8", "replace").decode().split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
