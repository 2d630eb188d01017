"""Which version is champion: promote past the gate, or go back to the one before."""

import getpass
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from services.training.errors import TrainingError
from services.training.registry.gate import Decision, Report, decide
from shared.ml.package import ModelPackage, load_package
from shared.registry.errors import VersionMissing
from shared.registry.records import (
    CHALLENGER,
    CHAMPION,
    ModelVersion,
    Promotion,
    previous_champion,
)
from shared.registry.registry import ModelRegistry


class PromotionRefused(TrainingError):
    """The version may not become champion; `reasons` are sentences."""

    def __init__(self, headline: str, reasons: tuple[str, ...] = ()) -> None:
        super().__init__(headline)
        self.reasons = reasons


@dataclass(frozen=True, slots=True)
class Promoter:
    """The use cases over one registry.

    Attributes:
        registry: where versions and aliases are.
        cache: directory for downloaded packages.
        shipped: the package that serves while the registry has no champion; a first challenger is
            compared with it.
        actor: who acts, for the history.
    """

    registry: ModelRegistry
    cache: Path
    shipped: Path
    actor: str

    def find(self, which: str) -> ModelVersion:
        """Return the version of a number or an alias. Raises VersionMissing."""
        if which.isdecimal():
            return self.registry.version(int(which))
        found = self.registry.resolve(which)
        if found is None:
            raise VersionMissing(f"no version has the alias {which!r}; see `detector models list`")
        return found

    def check(self, candidate: ModelVersion) -> Decision:
        """Ask the quality gate about `candidate`, without changing anything."""
        package = self._package(candidate)
        champion = self.registry.resolve(CHAMPION)
        base = self._package(champion) if champion else load_package(self.shipped)
        budget = package.manifest.thresholds.false_accusation_budget
        champion_version = base.manifest.version
        return decide(_report(package), _report(base), budget, champion_version=champion_version)

    def promote(self, which: str, *, force: bool = False, reason: str = "") -> Promotion:
        """Make a version champion.

        Raises PromotionRefused with the gate's reasons, unless `force`, which needs a `reason`.
        """
        if force and not reason.strip():
            raise PromotionRefused("--force needs --reason: the history keeps it")
        candidate = self.find(which)
        champion = self.registry.resolve(CHAMPION)
        if champion and champion.number == candidate.number:
            raise PromotionRefused(f"version {candidate.number} is champion already")
        self._refuse_second_meaning(candidate)
        decision = self.check(candidate)
        if not decision.passed and not force:
            raise PromotionRefused(
                f"the quality gate refuses version {candidate.number}"
                f" ({candidate.package_version})",
                decision.refusals,
            )
        promotion = Promotion(
            version=candidate.number,
            package_version=candidate.package_version,
            previous=champion.number if champion else None,
            action="promote",
            by=self.actor,
            at=datetime.now(UTC),
            reason=reason.strip(),
            forced=not decision.passed,
            refusals=decision.refusals,
        )
        self._install(promotion)
        if CHALLENGER in candidate.aliases:
            self.registry.delete_alias(CHALLENGER)
        return promotion

    def rollback(self, *, reason: str = "") -> Promotion:
        """Make the champion before this one champion again; it passed the gate in its time.

        Raises PromotionRefused when there is none.
        """
        champion = self.registry.resolve(CHAMPION)
        if champion is None:
            raise PromotionRefused("there is no champion to roll back; see `detector models list`")
        before = previous_champion(self.registry.history(), champion.number)
        if before is None:
            raise PromotionRefused(
                f"version {champion.number} is the first champion: there is none to go back to."
                " Register another package and promote it."
            )
        target = self.registry.version(before)
        promotion = Promotion(
            version=target.number,
            package_version=target.package_version,
            previous=champion.number,
            action="rollback",
            by=self.actor,
            at=datetime.now(UTC),
            reason=reason.strip(),
        )
        self._install(promotion)
        return promotion

    def _install(self, promotion: Promotion) -> None:
        # The history first: an entry without its alias is harmless, the reverse is not.
        self.registry.record(promotion)
        self.registry.set_alias(CHAMPION, promotion.version)

    def _refuse_second_meaning(self, candidate: ModelVersion) -> None:
        """Verdicts name the package's version: it must never have meant another package."""
        served = {entry.version for entry in self.registry.history()} - {candidate.number}
        for number in sorted(served):
            known = self.registry.version(number)
            if known.package_version == candidate.package_version and (
                known.digest != candidate.digest
            ):
                raise PromotionRefused(
                    f"version {number} was champion as {known.package_version} and is another"
                    " package: verdicts of the two could not be told apart. Give this one a new"
                    " package.version."
                )

    def _package(self, version: ModelVersion) -> ModelPackage:
        return load_package(self.registry.fetch(version, self.cache))


def actor() -> str:
    """Return who acts: DETECTOR_ACTOR (a pipeline, say), else the operating system's user."""
    try:
        return os.environ.get("DETECTOR_ACTOR") or getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in containers
        return f"uid {os.getuid()}"


def _report(package: ModelPackage) -> Report:
    report: Report = json.loads(package.evaluation.read_text(encoding="utf-8"))
    return report
