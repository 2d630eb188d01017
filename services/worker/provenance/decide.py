"""When metadata decides. It only ever accuses: none of it makes a photo `real`."""

from collections.abc import Sequence
from enum import StrEnum

from services.worker.provenance.findings import Finding, Says, Strength


class Conclusive(StrEnum):
    """Which statements "this was made by a generator" are conclusive."""

    TRUSTED = "trusted"  # intact and signed by a trusted signer
    SIGNED = "signed"  # intact and signed by anybody
    DECLARED = "declared"  # any, plain metadata included
    NEVER = "never"


_ACCEPTED: dict[Conclusive, frozenset[Strength]] = {
    Conclusive.NEVER: frozenset(),
    Conclusive.TRUSTED: frozenset({Strength.SIGNED_TRUSTED}),
    Conclusive.SIGNED: frozenset({Strength.SIGNED_TRUSTED, Strength.SIGNED}),
    Conclusive.DECLARED: frozenset(
        {Strength.SIGNED_TRUSTED, Strength.SIGNED, Strength.DECLARED, Strength.BROKEN}
    ),
}


def conclusive(findings: Sequence[Finding], rule: Conclusive) -> Finding | None:
    """Return the finding that makes the photo AI-generated, None when none does."""
    accepted = _ACCEPTED[rule]
    return next(
        (each for each in findings if each.says == Says.AI_GENERATED and each.strength in accepted),
        None,
    )
