"""Moments on the command line and in tables."""

from datetime import UTC, datetime

from services.cli.output import fail


def parse_moment(text: str | None, option: str) -> datetime | None:
    """Return the moment that `text` names; exits with 2 unless it has date, time and zone."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        fail(f"{option} takes a time with its zone, such as 2026-11-23T08:00:00Z; not {text!r}.")
    return moment


def shown(moment: datetime | None) -> str:
    """Return `moment` to the second in UTC, as tables show it."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if moment else ""
