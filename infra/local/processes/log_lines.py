"""Pick the lines of a log that say why a program did not start, and what to do about it."""

import re
from collections import deque
from pathlib import Path

_TELLING = re.compile(
    r"\b(FATAL|PANIC|CRITICAL|ERROR|Error|error|panic|fatal)\b|[A-Za-z]+Error\b|Exception:"
    r"|^F\d{4} |\b(DETAIL|HINT): |Can't |Could not |could not |Failed |failed "
    r"|[Pp]ermission denied|already in use"
)
_MOST_LINES = 5
_MOST_CHARACTERS = 400
# Logs rotate at 10 MB; the reason for an end is near the end.
_TAIL_BYTES = 256 * 1024

_ADVICE = (
    (
        re.compile(r"address already in use|port is already|could not bind", re.IGNORECASE),
        "another program took the port; start again (a free one is chosen), or end that program.",
    ),
    (
        re.compile(r"No space left on device", re.IGNORECASE),
        "free some disk space, or set DETECTOR_LOCAL_DIR to a directory on another disk.",
    ),
    (
        re.compile(r"[Pp]ermission denied|invalid permissions|wrong ownership"),
        (
            "the directory belongs to another user: start as that user, or set DETECTOR_LOCAL_DIR "
            "to a directory of your own."
        ),
    ),
    (
        re.compile(r"incompatible with server|not compatible with this version"),
        (
            "the data was written by another PostgreSQL version: install that version's wheel, or "
            "move the `postgres` directory away and start with an empty database."
        ),
    ),
    (
        re.compile(r"could not (?:map|resize) .*shared memory|Cannot allocate memory"),
        "give it more memory (in a container: a larger /dev/shm).",
    ),
    (
        re.compile(r"ModuleNotFoundError|No module named"),
        "a package is missing: `make install`.",
    ),
    (
        re.compile(r"GLIBC|cannot execute|Exec format"),
        (
            "the wheel does not fit this platform; run that server yourself and set its DETECTOR_* "
            "address (docs/embedded-stack.md)."
        ),
    ),
)


def log_size(path: Path) -> int:
    """Return where the next line of `path` will be written, in bytes from its start."""
    return path.stat().st_size if path.exists() else 0


def telling_lines(path: Path, start: int) -> list[str]:
    """Return the lines written after byte `start` that say why a program failed.

    These are the last few that look like an error, or else the last few of all; a log that was
    rotated since (shorter than `start`) is read from its beginning.
    """
    if not path.exists():
        return []
    size = path.stat().st_size
    begin = start if start <= size else 0
    with path.open("rb") as file:
        file.seek(max(begin, size - _TAIL_BYTES))
        text = file.read().decode("utf-8", errors="replace")
    lines = [line.strip()[:_MOST_CHARACTERS] for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    return list(deque(telling or lines, maxlen=_MOST_LINES))


def advice_for(lines: list[str]) -> str:
    """Return what a person can do about these log lines."""
    text = "\n".join(lines)
    for pattern, advice in _ADVICE:
        if pattern.search(text):
            return advice
    return "mend what the log says and start again; `detector doctor` checks each dependency."
