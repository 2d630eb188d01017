"""Run a stack in the foreground until Ctrl-C or SIGTERM, then stop it in order."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from infra.local.boot import Endpoints, boot
from infra.local.errors import LocalStackError
from infra.local.processes.log_lines import telling_lines
from infra.local.processes.supervisor_rpc import FATAL
from infra.local.servers.urls import ExternalServers
from infra.local.settings import LocalSettings
from infra.local.stack import Stack

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_WATCH_S = 1.0


class Progress:
    """Prints each line with the seconds since the start."""

    def __init__(self) -> None:
        self._begin = time.monotonic()

    def __call__(self, line: str) -> None:
        """Print one line."""
        print(f"{time.monotonic() - self._begin:6.1f} s  {line}", flush=True)


@contextmanager
def running_stack(
    settings: LocalSettings, external: ExternalServers, report: Progress
) -> Iterator[tuple[Stack, Endpoints]]:
    """Boot everything; at the end stop everything, which no further signal interrupts.

    SIGINT, SIGTERM and SIGHUP (terminal closed) raise KeyboardInterrupt inside the block.
    """
    for number in _SIGNALS:
        # `nohup` has closed-terminal signals ignored, and means it.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)
    stack = Stack(
        settings.local_dir,
        external=external,
        timeout_s=settings.boot_timeout_seconds,
        report=report,
    )
    try:
        yield stack, boot(stack, settings, report)
    finally:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        if stack.supervisor_is_alive():
            report("stopping the services, then the servers …")
            stack.stop()
            report("stopped; no process is left")
        stack.stop()  # gives the lock back; ends what a lost supervisord left behind


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def watch(stack: Stack, report: Progress) -> None:
    """Say when a program ended and was started again, until KeyboardInterrupt.

    Raises:
        LocalStackError: supervisord ended; nothing watches the programs any more.
    """
    pids = {program.name: program.pid for program in stack.programs}
    while stack.supervisor_is_alive():
        time.sleep(_WATCH_S)
        try:
            infos = stack.process_infos()
        except OSError:
            continue
        for program in stack.programs:
            info, before = infos[program.name], pids[program.name]
            if info.state == FATAL and before is not None:
                lines = "\n".join(f"    {x}" for x in telling_lines(program.log_path, 0))
                report(f"ATTENTION: {program.name} keeps ending and was given up:\n{lines}")
                pids[program.name] = None
            elif info.pid and info.pid != before:
                report(f"{program.name} ended and was started again (log: {program.log_path})")
                pids[program.name] = info.pid
    raise LocalStackError(
        f"supervisord ended (its log: {stack.layout.log('supervisord')}).\n"
        "What to do: start again; what it left behind is ended now."
    )


def fail(error: LocalStackError) -> int:
    """Print an error for a person and return the exit status."""
    print(f"\n{error}", file=sys.stderr, flush=True)
    return 1
