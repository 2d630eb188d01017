"""Weeks of a made-up marketplace through the service's own windows, tests and hysteresis."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from services.drift.analysis.counts import Scope
from services.drift.analysis.window import Rules, Window, conclude, run_tests
from services.drift.reference.frozen import Reference
from services.drift.report.severity import State, advance, is_calm
from services.drift.study.scores import Scores
from services.drift.study.traffic import Marketplace, Photos, Shift, make_marketplace
from services.drift.study.windows_of import make_reference, make_window
from shared.contracts.drift import Cause, Severity

WEEK = 168
# A study's own, and the run's number in it.
Seed = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Setup:
    """What is simulated: the model's scores, the service's rules, how much traffic there is."""

    scores: Scores
    photos_per_hour: float = 250.0
    window_photos: int = 4000
    sampled: int = 2000
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True, slots=True)
class Check:
    """One scope's check of one window: what the window alone said, and what was told."""

    scope: Scope
    window: Severity
    told: Severity
    cause: Cause
    drifted: Sequence[str]
    photos: int


def prepare(setup: Setup, rng: np.random.Generator) -> tuple[Marketplace, Reference]:
    """Return a marketplace of its own kind and the reference of its first week."""
    market = make_marketplace(setup.scores, rng)
    photos = market.week(rng, setup.photos_per_hour, 0, WEEK)
    return market, make_reference(market, photos, rng)


def windows(
    setup: Setup,
    market: Marketplace,
    reference: Reference,
    rng: np.random.Generator,
    shift: Shift,
    hours: int,
) -> Iterator[Window]:
    """Yield the windows of the hours after the reference's week, as the service cuts them."""
    photos = market.week(rng, setup.photos_per_hour, WEEK, hours, shift)
    for part in _cut(photos, setup.window_photos):
        yield make_window(market, part, reference, setup.sampled, rng)


def check(
    setup: Setup,
    reference: Reference,
    window: Window,
    states: Mapping[Scope, State],
    rng: np.random.Generator,
) -> tuple[list[Check], dict[Scope, State]]:
    """Check one window as the service does; only what drifted is reported on in full."""
    checks, after = [], dict(states)
    for scope, tested in run_tests(reference, window, setup.rules, rng).items():
        before = states.get(scope, State())
        drifted = [f"{each.name} {each.subject}" for each in tested.statistics if each.drifted]
        photos = round(window.cube.whole(scope).photos)
        if drifted:
            result = conclude(reference, window, scope, tested, before, setup.rules)
            report, after[scope] = result.report, result.state
            found = (report.window_severity, report.severity, report.cause.kind)
        else:
            calm = is_calm(tested.statistics, setup.rules.alpha)
            after[scope] = advance(before, Severity.NONE, calm, setup.rules.patience)
            found = (Severity.NONE, after[scope].severity, Cause.NONE)
        checks.append(Check(scope, *found, drifted, photos))
    return checks, after


def run_weeks(setup: Setup, seed: Seed, weeks: int, shift: Shift) -> list[Check]:
    """Return the checks of one marketplace's `weeks` after its reference's."""
    rng = np.random.default_rng(seed)
    market, reference = prepare(setup, rng)
    checks: list[Check] = []
    states: dict[Scope, State] = {}
    for window in windows(setup, market, reference, rng, shift, weeks * WEEK):
        found, states = check(setup, reference, window, states, rng)
        checks += found
    return checks


def run_shift(setup: Setup, seed: Seed, shift: Shift, count: int = 2) -> list[list[Check]]:
    """Return the checks of the first `count` windows after a shift began."""
    rng = np.random.default_rng(seed)
    market, reference = prepare(setup, rng)
    states: dict[Scope, State] = {}
    found = []
    hours = int(np.ceil(count * setup.window_photos / setup.photos_per_hour * 3)) + 24
    for window in windows(setup, market, reference, rng, shift, hours):
        checks, states = check(setup, reference, window, states, rng)
        found.append(checks)
        if len(found) == count:
            break
    return found


def _cut(photos: Photos, size: int) -> Iterator[Photos]:
    """Yield windows of whole hours that hold `size` photos or span a day; the rest is left out."""
    slots = np.floor(photos.hours).astype(int)
    first, rows = int(slots[0]), 0
    for hour in range(first, int(slots[-1]) + 1):
        end = int(np.searchsorted(slots, hour, side="right"))
        if end - rows >= size or hour + 1 - first >= 24:
            yield photos.take(np.arange(rows, end))
            first, rows = hour + 1, end
