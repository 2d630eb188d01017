"""The quality gate: may this challenger take the champion's place? Pure; every no has its reason.

The two are compared on what both were measured on, the test splits in every tier, and the
challenger is held to limits of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# The content of evaluation.json; see services.training.evaluate.numbers.
Report = Mapping[str, Any]
# Key of the report with the SHA-256 over the test photos that it was made from.
TEST_FINGERPRINT = "test_fingerprint"
# Key of the report with other packages' splits, by version, measured in the same run.
BESIDE = "beside"


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """How much worse is still called equal, and what no model may do.

    The tolerances are within the 95% bootstrap intervals of the first champion, whose half widths
    are 0.015 to 0.026 (AUC) and 0.074 to 0.133 (recall): a smaller loss may be chance.
    """

    auc_tolerance: float = 0.01
    recall_tolerance: float = 0.03
    # Above this, and above the champion's own, a probability does not mean what it says.
    ece_limit: float = 0.05
    # Share of real photos of a tier called AI-generated. The model's own budget was set on other
    # sources, so on these it may be passed, but never by more than this factor.
    budget_factor: float = 3.0


@dataclass(frozen=True, slots=True)
class Decision:
    """`refusals` are sentences for people; a challenger without any passes."""

    refusals: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the challenger may be promoted without force."""
        return not self.refusals


def decide(
    challenger: Report,
    champion: Report | None,
    false_accusation_budget: float,
    policy: GatePolicy | None = None,
    champion_version: str = "",
) -> Decision:
    """Compare two evaluations; `false_accusation_budget` is the challenger's, a share of 1.

    Where the challenger's evaluation judged the champion's photos with `champion_version` too,
    those numbers count: both of one run, on the same photos and tiers. Without a champion only the
    challenger's own limits count.
    """
    policy = policy or GatePolicy()
    if champion is not None:
        champion = _measured_with(challenger, champion_version) or champion
    refusals = [*_own_limits(challenger, champion, false_accusation_budget, policy)]
    if champion is not None:
        refusals = [*_other_data(challenger, champion), *refusals]
        refusals += _worse(challenger, champion, policy)
    return Decision(tuple(refusals))


def _measured_with(challenger: Report, version: str) -> Report | None:
    """Return what the challenger's evaluation found of `version`; None where it judged without."""
    splits = challenger.get(BESIDE, {}).get(version)
    if not splits:
        return None
    return {"splits": splits, TEST_FINGERPRINT: challenger.get(TEST_FINGERPRINT)}


def _other_data(challenger: Report, champion: Report) -> Iterator[str]:
    """Say where the two were not measured on the same photos."""
    ours, theirs = challenger.get(TEST_FINGERPRINT), champion.get(TEST_FINGERPRINT)
    if ours and theirs:
        if ours != theirs:
            yield (
                f"it was evaluated on other test photos (fingerprint {ours[:12]}) than the champion"
                f" ({theirs[:12]}): evaluate both on the same data"
            )
        return
    # Packages made before the fingerprint was written: counts still tell most differences.
    for split, tier, numbers, base in _common(challenger, champion):
        for key, kind in (("n_real", "real"), ("n_ai_generated", "generated")):
            if numbers[key] != base[key]:
                yield (
                    f"it was evaluated on other photos: {split} {tier} has {numbers[key]} {kind}"
                    f" photos, the champion's had {base[key]}"
                )


def _own_limits(
    challenger: Report, champion: Report | None, budget: float, policy: GatePolicy
) -> Iterator[str]:
    if not any(challenger["splits"].values()):
        yield "it was never evaluated on test photos"
    limit = budget * policy.budget_factor
    for split, tier, numbers in _tiers(challenger):
        rate, ece = numbers["false_accusation_rate"], _ece(numbers)
        # NaN compares false with everything: written so that it is refused.
        if not rate <= limit:
            yield (
                f"it calls {rate:.1%} of the real photos of {split} {tier} AI-generated; its budget"
                f" is {budget:.1%}, and more than {limit:.1%} is refused"
            )
        base = _find(champion, split, tier)
        if not (ece <= policy.ece_limit or (base is not None and ece <= _ece(base))):
            than = f" and the champion's {_ece(base):.3f}" if base is not None else ""
            yield (
                f"its calibration error (ECE) on {split} {tier} is {ece:.3f}, above"
                f" {policy.ece_limit:.3f}{than}"
            )


def _ece(numbers: Mapping[str, Any]) -> float:
    """Return the error with classes weighing alike, as probabilities are calibrated for that."""
    return float(numbers.get("ece_even_classes", numbers["ece"]))


def _worse(challenger: Report, champion: Report, policy: GatePolicy) -> Iterator[str]:
    for split, tier, _numbers in _tiers(champion):
        if _find(challenger, split, tier) is None:
            yield f"it was not evaluated on {split} {tier}, the champion was"
    compared = (
        ("auc", "AUC", policy.auc_tolerance),
        ("recall_at_5pct_fpr", "recall at 5% false accusations", policy.recall_tolerance),
    )
    for split, tier, numbers, base in _common(challenger, champion):
        for key, title, tolerance in compared:
            # Rounded, or 0.86 - 0.85 would be more than 0.01.
            loss = round(base[key] - numbers[key], 9)
            if not loss <= tolerance:
                yield (
                    f"{title} on {split} {tier} is {numbers[key]:.3f}, the champion's"
                    f" {base[key]:.3f}: worse by {loss:.3f}, tolerated {tolerance:.3f}"
                )


def _tiers(report: Report) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for split, tiers in report["splits"].items():
        for tier, numbers in tiers.items():
            yield split, tier, numbers


def _common(
    challenger: Report, champion: Report
) -> Iterator[tuple[str, str, Mapping[str, Any], Mapping[str, Any]]]:
    for split, tier, numbers in _tiers(challenger):
        base = _find(champion, split, tier)
        if base is not None:
            yield split, tier, numbers, base


def _find(report: Report | None, split: str, tier: str) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = (report or {"splits": {}})["splits"].get(split, {}).get(tier)
    return found
