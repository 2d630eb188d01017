"""From corrected measurements to a severity, and its hysteresis over windows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.contracts.drift import MODEL_RELEVANT, Cause, Severity, Statistic

ORDER = {Severity.NONE: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}
# Effects of this many thresholds are critical: of a cause that concerns the model, and of another.
_CRITICAL = 2.0
_CRITICAL_OTHERWISE = 4.0
# Below this part of its threshold a significant effect counts as gone.
_RELEASE = 0.7


@dataclass(frozen=True, slots=True)
class Patience:
    """Windows in a row that it takes to raise a severity, and to end it."""

    raise_after: int = 2
    clear_after: int = 3


@dataclass(frozen=True, slots=True)
class State:
    """A severity and how many windows in a row were warm, hot (critical), calm.

    Warm are windows in a row that are not calm, from the last but one before the first suspicious
    one on. What was before the first window counts as calm.
    """

    severity: Severity = Severity.NONE
    warm: int = 0
    hot: int = 0
    calm: int = 1


def window_severity(statistics: Sequence[Statistic], cause: Cause) -> Severity:
    """Return what one window alone says."""
    drifted = [statistic for statistic in statistics if statistic.drifted]
    if not drifted:
        return Severity.NONE
    limit = _CRITICAL if cause in MODEL_RELEVANT else _CRITICAL_OTHERWISE
    # A mix has no critical size: all photos may come in a new format.
    if any(s.value >= limit * s.threshold for s in drifted if s.name != "total_variation"):
        return Severity.CRITICAL
    return Severity.WARNING


def is_calm(statistics: Sequence[Statistic], alpha: float) -> bool:
    """Say whether every effect is well below its threshold, or within chance."""
    return not any(
        s.value >= _RELEASE * s.threshold and s.p_adjusted is not None and s.p_adjusted < alpha
        for s in statistics
    )


def advance(state: State, window: Severity, calm: bool, patience: Patience) -> State:
    """Return the state after one more window.

    It rises when enough windows in a row agree, and falls to none when enough were calm: a window
    between the two keeps it where it is, and beside a suspicious one agrees with it. A critical one
    does not fade to a warning in between.
    """
    warm = _warm(state, window, calm)
    hot = state.hot + 1 if window is Severity.CRITICAL else 0
    quiet = state.calm + 1 if calm and window is Severity.NONE else 0
    after = replace(state, warm=warm, hot=hot, calm=quiet)
    if hot >= patience.raise_after:
        return replace(after, severity=Severity.CRITICAL)
    if warm >= patience.raise_after and state.severity is Severity.NONE:
        return replace(after, severity=Severity.WARNING)
    if quiet >= patience.clear_after:
        return replace(after, severity=Severity.NONE)
    return after


def _warm(state: State, window: Severity, calm: bool) -> int:
    """Return how many windows in a row say that something moved, one of them for certain.

    The effects of a shift near the thresholds are above them in one window and just below in the
    next; that both are well above chance is what makes them evidence.
    """
    if window is not Severity.NONE:
        before_leaned = state.warm == 0 and state.calm == 0
        return state.warm + (2 if before_leaned else 1)
    return state.warm + 1 if state.warm and not calm else 0
