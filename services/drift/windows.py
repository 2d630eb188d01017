"""Where windows begin and end: a function of the verdicts alone, so a restart changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Plan:
    """A window ends on the first multiple of `step` at which it holds `photos`, or after `limit`.

    Windows of a model version never overlap: each photo is looked at once, so that two windows in a
    row are two pieces of evidence.
    """

    step: timedelta
    photos: int
    limit: timedelta

    def floor(self, moment: datetime) -> datetime:
        """Return the last multiple of the step that is not after `moment`."""
        return moment - (moment - _EPOCH) % self.step

    def ceiling(self, moment: datetime) -> datetime:
        """Return the first multiple of the step that is not before `moment`."""
        floor = self.floor(moment)
        return floor if floor == moment else floor + self.step


@dataclass(frozen=True, slots=True)
class DueWindow:
    """A window that has ended; `photos` 0 means that no verdict was made in it."""

    start: datetime
    end: datetime
    photos: int


def next_start(
    plan: Plan, checked: datetime | None, frozen: datetime | None, first: datetime
) -> datetime:
    """Return where the next window begins.

    That is after the last one (`checked`), and after the reference's own photos (end `frozen`),
    which are not looked at as news. Before any check an evaluation has neither: with the `first`
    verdict.
    """
    ends = [moment for moment in (checked, plan.ceiling(frozen) if frozen else None) if moment]
    return max(ends, default=plan.floor(first))


def next_window(
    plan: Plan, start: datetime, until: datetime, photos_by_slot: Mapping[int, int]
) -> DueWindow | None:
    """Return the window that begins at `start` when it has ended before `until`, else None.

    `photos_by_slot` counts verdicts by slot of one step from `start` on. Time without any photo is
    one window of its own, up to the slot of the first: it may be months.
    """
    slots = (plan.floor(until) - start) // plan.step
    first = min((slot for slot, photos in photos_by_slot.items() if photos), default=None)
    if first is None or first >= slots:
        return None
    if first > 0:
        return DueWindow(start, start + first * plan.step, 0)
    total = 0
    for slot in range(slots):
        total += photos_by_slot.get(slot, 0)
        end = start + (slot + 1) * plan.step
        if total >= plan.photos or end - start >= plan.limit:
            return DueWindow(start, end, total)
    return None
