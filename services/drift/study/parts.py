"""The study's questions: how often is it wrong, what does it miss, what does it call things?"""

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from services.drift.accuracy import wilson
from services.drift.study.simulate import Check, Setup, run_shift, run_weeks
from services.drift.study.traffic import Shift
from shared.contracts.drift import MODEL_RELEVANT, Cause, Severity

# Weeks of one marketplace; then another one begins, with its own trade.
_WEEKS = 5
# Of the traffic; the last two have no room to be caught in every run, and show where it ends.
_SHARES = (0.10, 0.05, 0.02)


def measure_quiet(setup: Setup, weeks: int) -> dict[str, Any]:
    """Return how many checks alert, and how many are suspicious, in weeks without any drift."""
    checks: list[Check] = []
    for number in range(weeks // _WEEKS):
        checks += run_weeks(setup, 1000 + number, _WEEKS, Shift())
        suspects = sum(check.window is not Severity.NONE for check in checks)
        done = f"{(number + 1) * _WEEKS} weeks, {len(checks)} checks"
        _say(f"quiet: {done}, {suspects} suspicious, {_told(checks)} alert")
    whole = [check for check in checks if check.scope is None]
    return {
        "quiet": {
            "weeks": weeks,
            "all": _rates(whole),
            "tenants": _rates([check for check in checks if check.scope is not None]),
            "every": _rates(checks),
            "photos": sum(check.photos for check in whole),
            "window_photos": setup.window_photos,
            "suspects": dict(Counter(name for check in checks for name in check.drifted)),
        }
    }


def measure_shifts(setup: Setup, runs: int) -> dict[str, Any]:
    """Return how often a new generator is told of within two windows, by generator and share."""
    found = []
    for share in _SHARES:
        for number, source in enumerate(setup.scores.unseen):
            for embeddings in (True, False) if share == _SHARES[0] else (True,):
                own = setup if embeddings else _without_embeddings(setup)
                shift = Shift(new_share=share, new_source=number)
                last = [_whole(run_shift(own, 5000 + run, shift)[-1]) for run in range(runs)]
                caught = [check for check in last if check.told is not Severity.NONE]
                found.append(
                    {
                        "generator": source.name,
                        "share": share,
                        "embeddings": embeddings,
                        "runs": runs,
                        "caught": len(caught),
                        "model_relevant": sum(check.cause in MODEL_RELEVANT for check in caught),
                        "new_cluster": sum(check.cause is Cause.NEW_CLUSTER for check in caught),
                    }
                )
                _say(f"shifts: {found[-1]}")
    return {"shifts": found}


def measure_files(setup: Setup, runs: int) -> dict[str, Any]:
    """Return what a new JPEG encoder is called, by the share it concerns and its effect."""
    found = []
    for recoded in (1.0, 0.5):
        for effect in (0.0, -0.3, -1.5):
            shift = Shift(recoded=recoded, recoded_z=effect)
            last = [_whole(run_shift(setup, 9000 + run, shift)[-1]) for run in range(runs)]
            causes = Counter(check.cause.value for check in last if check.told is not Severity.NONE)
            found.append(
                {"recoded": recoded, "effect": effect, "runs": runs, "causes": dict(causes)}
            )
            _say(f"files: {found[-1]}")
    return {"files": found}


def _without_embeddings(setup: Setup) -> Setup:
    return Setup(
        setup.scores, setup.photos_per_hour, setup.window_photos, sampled=0, rules=setup.rules
    )


def _whole(checks: Sequence[Check]) -> Check:
    return next(check for check in checks if check.scope is None)


def _told(checks: Sequence[Check]) -> int:
    return sum(check.told is not Severity.NONE for check in checks)


def _rates(checks: Sequence[Check]) -> dict[str, Any]:
    told = _told(checks)
    return {
        "checks": len(checks),
        "alerting": told,
        "rate": told / len(checks),
        "upper": wilson(told, len(checks))[1],
        "suspicious": sum(check.window is not Severity.NONE for check in checks),
    }


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # a study of minutes tells where it is
