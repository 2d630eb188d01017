"""What the registry holds, as values."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

CHAMPION, CHALLENGER = "champion", "challenger"

# Tags of a model version; numbers are under METRIC + their name.
TAG_PACKAGE, TAG_DIGEST, TAG_ARCHITECTURE = "package.version", "package.digest", "architecture"
TAG_DATA, TAG_GIT, METRIC = "data.fingerprint", "git.revision", "metric."
TAG_TRUNK = "package.trunk"


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One registered package. `number` is the registry's, `package_version` the package's own."""

    number: int
    package_version: str
    digest: str
    architecture: str
    data_fingerprint: str
    git_revision: str
    created_at: datetime
    run_id: str
    # Folder of the run's artifacts that holds the package.
    artifact_path: str
    aliases: tuple[str, ...]
    # SHA-256 of the trunk that it shares with others; None for a package of one network.
    trunk: str | None
    metrics: dict[str, float]


class Promotion(BaseModel):
    """One line of the history: who made which version champion, when and why."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int
    package_version: str
    previous: int | None
    action: Literal["promote", "rollback"]
    by: str
    at: datetime
    reason: str = ""
    # The quality gate refused, and was overridden; `refusals` are its words.
    forced: bool = False
    refusals: tuple[str, ...] = ()


def previous_champion(history: list[Promotion], current: int) -> int | None:
    """Return the version that was champion before `current`, None when there was none.

    `history` is oldest first. Promotions push and rollbacks pop, so two rollbacks in a row go two
    versions back. Each promotion says what was champion before it: that undoes an entry whose
    alias was never set (its process died between the two), and sees one set by other means.
    """
    champions: list[int] = []
    for entry in history:
        if entry.action == "rollback":
            _pop_to(champions, entry.version)
            continue
        if entry.previous is not None:
            _pop_to(champions, entry.previous)
        champions.append(entry.version)
    _pop_to(champions, current)
    return champions[-2] if len(champions) > 1 else None


def _pop_to(champions: list[int], version: int) -> None:
    """Make `version` the last of `champions`."""
    while champions and champions[-1] != version:
        champions.pop()
    if not champions:
        champions.append(version)
