"""The study's questions: how often is it wrong, what does it miss, what does it call things?"""

import multiprocessing
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from services.drift.analysis.accuracy import wilson
from services.drift.study.simulate import Check, Seed, Setup, run_shift, run_weeks
from services.drift.study.traffic import Shift
from shared.contracts.drift import MODEL_RELEVANT, Cause, Severity

_T = TypeVar("_T")

# Weeks of one marketplace; then another one begins, with its own trade.
_WEEKS = 5
# Of the traffic; the last two have no room to be caught in every run, and show where it ends.
_SHARES = (0.10, 0.05, 0.02)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to simulate, from which chance, by how many processes at once.

    `size` is weeks, or runs of each shift. Seeds that thresholds were chosen on prove nothing.
    """

    size: int
    seed: int
    processes: int = 1


def measure_quiet(setup: Setup, plan: Plan) -> dict[str, Any]:
    """Return how many checks alert, and how many are suspicious, in weeks without any drift."""
    checks: list[Check] = []
    for found in _each(_quiet_weeks, setup, Shift(), plan, plan.size // _WEEKS):
        checks += found
        suspects = sum(check.window is not Severity.NONE for check in checks)
        _say(f"quiet: {len(checks)} checks, {suspects} suspicious, {_told(checks)} alert")
    whole = [check for check in checks if check.scope is None]
    return {
        "quiet": {
            "weeks": plan.size,
            "all": _rates(whole),
            "tenants": _rates([check for check in checks if check.scope is not None]),
            "every": _rates(checks),
            "photos": sum(check.photos for check in whole),
            "window_photos": setup.window_photos,
            "suspects": dict(Counter(name for check in checks for name in check.drifted)),
        }
    }


def measure_shifts(setup: Setup, plan: Plan) -> dict[str, Any]:
    """Return how often a new generator is told of within two windows, by generator and share."""
    found = []
    for share in _SHARES:
        for number, source in enumerate(setup.scores.unseen):
            for embeddings in (True, False) if share == _SHARES[0] else (True,):
                own = setup if embeddings else _without_embeddings(setup)
                shift = Shift(new_share=share, new_source=number)
                last = list(_each(_second_window, own, shift, plan, plan.size))
                caught = [check for check in last if check.told is not Severity.NONE]
                found.append(
                    {
                        "generator": source.name,
                        "photos": len(source.rows),
                        "share": share,
                        "embeddings": embeddings,
                        "runs": plan.size,
                        "caught": len(caught),
                        "model_relevant": sum(check.cause in MODEL_RELEVANT for check in caught),
                        "new_cluster": sum(check.cause is Cause.NEW_CLUSTER for check in caught),
                        "drifted": dict(Counter(name for each in last for name in each.drifted)),
                    }
                )
                _say(f"shifts: {found[-1]}")
    return {"shifts": found, "left_out": setup.scores.left_out}


def measure_files(setup: Setup, plan: Plan) -> dict[str, Any]:
    """Return what a new JPEG encoder is called, by the share it concerns and its effect."""
    found = []
    for recoded in (1.0, 0.5):
        for effect in (0.0, -0.3, -1.5):
            shift = Shift(recoded=recoded, recoded_z=effect)
            last = list(_each(_second_window, setup, shift, plan, plan.size))
            causes = Counter(check.cause.value for check in last if check.told is not Severity.NONE)
            found.append(
                {"recoded": recoded, "effect": effect, "runs": plan.size, "causes": dict(causes)}
            )
            _say(f"files: {found[-1]}")
    return {"files": found}


def _each(
    run: Callable[[Setup, Seed, Shift], _T],
    setup: Setup,
    shift: Shift,
    plan: Plan,
    count: int,
) -> Iterator[_T]:
    """Yield `count` runs, each of a marketplace of its own, in order."""
    seeds = [(plan.seed, number) for number in range(count)]
    if plan.processes == 1:
        yield from (run(setup, seed, shift) for seed in seeds)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(plan.processes, mp_context=context) as pool:
        yield from pool.map(run, [setup] * count, seeds, [shift] * count)


def _quiet_weeks(setup: Setup, seed: Seed, shift: Shift) -> list[Check]:
    return run_weeks(setup, seed, _WEEKS, shift)


def _second_window(setup: Setup, seed: Seed, shift: Shift) -> Check:
    return _whole(run_shift(setup, seed, shift)[-1])


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
