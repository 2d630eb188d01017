"""Find and end processes that an earlier start of the same stack left behind.

A process is never judged by its name. It is one of ours if its environment carries this stack's
marker, or if it runs one of our server programs inside this stack's data directories (PostgreSQL
and Valkey overwrite their environment block to show a status in `ps`). psutil compares the
creation time before each signal, so a reused process id is never hit.
"""

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from infra.local.directory.layout import Layout

_SUPERVISOR_WAIT_S = 30.0
_WAIT_S = 8.0


@dataclass(frozen=True)
class Marks:
    """How this stack's processes are recognised.

    Attributes:
        marker: value of DETECTOR_STACK_ID.
        programs: resolved paths of the server programs.
        layout: their data directories lie in here.
    """

    marker: str
    programs: frozenset[Path]
    layout: Layout

    def match(self, process: psutil.Process) -> bool:
        """Say whether `process` belongs to this stack; False if that cannot be read."""
        try:
            if process.environ().get("DETECTOR_STACK_ID") == self.marker:
                return True
        except (psutil.Error, OSError):
            pass
        try:
            if Path(process.exe()) not in self.programs:
                return False
            directory = Path(process.cwd())
        except (psutil.Error, OSError):
            return False
        own = (self.layout.postgres, self.layout.valkey, self.layout.seaweedfs)
        return any(directory.is_relative_to(path) for path in own)


def find_leftovers(marks: Marks) -> list[psutil.Process]:
    """Return this stack's living processes, oldest first; never this process or its parents."""
    spared = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = [
        process
        for process in psutil.process_iter()
        if process.pid not in spared and _is_alive(process) and marks.match(process)
    ]
    return sorted(found, key=lambda process: (process.create_time(), process.pid))


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _wait_until_gone(processes: Sequence[psutil.Process], timeout_s: float) -> None:
    # Not psutil.wait_procs: where process 1 reaps nothing (containers), it waits for zombies.
    deadline = time.monotonic() + timeout_s
    while any(_is_alive(process) for process in processes) and time.monotonic() < deadline:
        time.sleep(0.02)


def end_leftovers(marks: Marks) -> int:
    """End every leftover process: asked first, killed after some seconds.

    Returns:
        How many there were.
    """
    found = find_leftovers(marks)
    count = len(found)
    for process in found:
        _thaw(process)
    # A supervisord that still lives ends its programs itself, and would restart what we end.
    supervisors = [process for process in found if _is_supervisord(process)]
    _ask(supervisors)
    _wait_until_gone(supervisors, _SUPERVISOR_WAIT_S)
    _kill(supervisors)
    found = find_leftovers(marks)
    _ask(found)
    _wait_until_gone(found, _WAIT_S)
    _kill(find_leftovers(marks))
    return count


def _thaw(process: psutil.Process) -> None:
    # A frozen process would never see the signal that asks it to end.
    try:
        process.resume()
    except psutil.Error:
        return


def _is_supervisord(process: psutil.Process) -> bool:
    try:
        return "infra.local.supervisord" in process.cmdline()
    except psutil.Error:
        return False


def _ask(processes: Sequence[psutil.Process]) -> None:
    pids = {process.pid for process in processes}
    for process in processes:
        try:
            is_postgres = Path(process.exe()).name == "postgres"
            if is_postgres and process.ppid() in pids:
                continue  # a backend: its postmaster ends it in order
            # PostgreSQL: SIGTERM waits for clients to leave, SIGINT does not.
            process.send_signal(signal.SIGINT if is_postgres else signal.SIGTERM)
        except psutil.Error:
            continue


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()
        except psutil.Error:
            continue
    _wait_until_gone(processes, _WAIT_S)
