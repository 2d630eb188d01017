"""When metadata decides. It only ever accuses: none of it makes a photo `real`."""

from collections.abc import Sequence
from enum import StrEnum

from services.worker.provenance.findings import Finding, Kind, Says, Strength


class Conclusive(StrEnum):
    """Which statements "this was made by a generator" are conclusive."""

    TRUSTED = "trusted"  # intact and signed by a trusted signer
    SIGNED = "signed"  # intact and signed by anybody
    STATED = "stated"  # those, and statements in plain fields with a defined vocabulary
    NEVER = "never"

    @classmethod
    def _missing_(cls, value: object) -> "Conclusive | None":
        """Take `declared`, the earlier name, for `stated`."""
        return cls.STATED if value == "declared" else None


# Fields with a defined vocabulary, or that a generator alone writes. Names of programs and people,
# credits and comments are none.
_STATEMENTS = frozenset({Kind.DIGITAL_SOURCE_TYPE, Kind.AIGC_LABEL, Kind.GENERATOR_PARAMETERS})
_SIGNED: dict[Conclusive, frozenset[Strength]] = {
    Conclusive.NEVER: frozenset(),
    Conclusive.TRUSTED: frozenset({Strength.SIGNED_TRUSTED}),
    Conclusive.SIGNED: frozenset({Strength.SIGNED_TRUSTED, Strength.SIGNED}),
    Conclusive.STATED: frozenset({Strength.SIGNED_TRUSTED, Strength.SIGNED}),
}


def conclusive(findings: Sequence[Finding], rule: Conclusive) -> Finding | None:
    """Return the finding that makes the photo AI-generated, None when none does.

    A signed claim that is broken, or that could not be read, is none.
    """
    return next((each for each in findings if _decides(each, rule)), None)


def _decides(finding: Finding, rule: Conclusive) -> bool:
    if finding.says != Says.AI_GENERATED:
        return False
    if finding.kind == Kind.C2PA:
        return finding.strength in _SIGNED[rule]
    return rule == Conclusive.STATED and finding.kind in _STATEMENTS
