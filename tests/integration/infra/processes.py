"""Find a stack's processes by another way than the stack does: its path in their arguments."""

import time
from pathlib import Path

import psutil


def processes_of(directory: Path) -> list[psutil.Process]:
    """Return the living processes that work in `directory` or name it in an argument."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() == psutil.STATUS_ZOMBIE or process.pid == psutil.Process().pid:
                continue
            where = [process.cwd(), *process.cmdline()]
        except psutil.Error:
            continue
        if any(str(directory) in part for part in where):
            found.append(process)
    return found


def servers_of(directory: Path) -> dict[str, int]:
    """Return how many of each server program run in `directory`, without their children."""
    counts: dict[str, int] = {}
    for process in processes_of(directory):
        try:
            name = Path(process.exe()).name
            parent = process.parent()
            is_child = parent is not None and parent.name() == process.name()
        except psutil.Error:  # ended meanwhile
            continue
        if not is_child:
            counts[name] = counts.get(name, 0) + 1
    return {name: counts.get(name, 0) for name in ("postgres", "valkey-server", "weed")}


def wait_until_gone(directory: Path, timeout_s: float = 30.0) -> list[psutil.Process]:
    """Return the processes that are still there after `timeout_s`, usually none."""
    deadline = time.monotonic() + timeout_s
    while (left := processes_of(directory)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left
