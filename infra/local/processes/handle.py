"""Control one program of a running stack: for fault tests and for the stack itself."""

import http.client
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from infra.local.errors import StartError
from infra.local.processes.log_lines import advice_for, log_size, telling_lines
from infra.local.processes.supervisor_rpc import BACKOFF, EXITED, FATAL, STOPPED, SupervisorClient

_POLL_S = 0.02


class ProgramHandle:
    """A program under the stack's supervisor.

    Args:
        name: program name.
        client: supervisor's interface.
        log_path: its log file.
        check: returns if the program is ready, raises if not.
        timeout_s: longest wait for it to be ready or gone, in seconds.
    """

    def __init__(
        self,
        name: str,
        client: SupervisorClient,
        log_path: Path,
        check: Callable[[], object],
        timeout_s: float,
    ) -> None:
        self.name = name
        self.log_path = log_path
        self._client = client
        self._check = check
        self._timeout_s = timeout_s
        self._log_start = 0
        # A start that ends early is a failure; after a crash, supervisor may try several times.
        self._is_first_try = False

    @property
    def pid(self) -> int | None:
        """Process id, None while it does not run."""
        return self._client.info(self.name).pid or None

    def is_ready(self) -> bool:
        """Say whether it answers now."""
        return self._check_error() is None

    def _check_error(self) -> Exception | None:
        try:
            self._check()
        except Exception as error:  # noqa: BLE001 - every client library has its own errors
            return error
        return None

    def launch(self) -> None:
        """Start it without waiting; no effect if it runs."""
        self._log_start = log_size(self.log_path)
        self._is_first_try = True
        self._client.start(self.name)

    def wait_ready(self, timeout_s: float | None = None) -> None:
        """Wait until it is ready.

        Raises:
            StartError: it ended, or was not ready in time; with the log lines that say why.
        """
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        deadline = time.monotonic() + limit_s
        while (error := self._check_error()) is not None:
            if reason := self._failure(error, deadline, limit_s):
                lines = telling_lines(self.log_path, self._log_start)
                raise StartError(self.name, reason, lines, self.log_path, advice_for(lines))
            time.sleep(_POLL_S)

    def _failure(self, error: Exception, deadline: float, limit_s: float) -> str | None:
        try:
            info = self._client.info(self.name)
        except (OSError, http.client.HTTPException):
            return "cannot be watched: supervisord is gone"
        if info.state == FATAL or (self._is_first_try and info.state in {BACKOFF, EXITED}):
            return f"ended while starting ({info.state_name.lower()})"
        if time.monotonic() > deadline:
            return f"was not ready within {limit_s:.0f} s ({error})"
        return None

    def start(self) -> None:
        """Start it and wait until it is ready. Raises StartError."""
        self.launch()
        self.wait_ready()

    def stop(self) -> None:
        """End it in order and keep it ended until `start`."""
        self.thaw()
        self._client.stop(self.name)

    def restart(self) -> None:
        """Stop in order, then start and wait until ready. Raises StartError."""
        self.stop()
        self.start()

    def kill(self, *, restart: bool = False) -> None:
        """Kill it with SIGKILL, children included, and return when all are gone.

        Args:
            restart: True leaves the restart to supervisor, which starts it again about at once
                (`wait_ready` waits for that); False keeps it down until `start`.
        """
        self._is_first_try = False
        processes = self._tree()
        for process in processes:
            # Frozen first: it can neither react to supervisor's stop signal nor start children.
            _quietly(process.suspend)
        if not restart:
            self._client.stop(self.name, wait=False)
        for process in self._tree() or processes:
            _quietly(process.kill)
        self._wait_gone(processes, stopped=not restart)

    def freeze(self) -> None:
        """Stop it with SIGSTOP, children included: connections stay open, nothing answers."""
        for process in self._tree():
            _quietly(process.suspend)

    def thaw(self) -> None:
        """Let a frozen program go on."""
        for process in self._tree():
            _quietly(process.resume)

    def _tree(self) -> list[psutil.Process]:
        """Return the process and its descendants, parents first."""
        pid = self.pid
        if pid is None:
            return []
        try:
            process = psutil.Process(pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _wait_gone(self, processes: list[psutil.Process], *, stopped: bool) -> None:
        deadline = time.monotonic() + self._timeout_s
        while any(_is_alive(process) for process in processes) or (
            stopped and self._client.info(self.name).state != STOPPED
        ):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} did not end after SIGKILL")
            time.sleep(_POLL_S)


def _quietly(action: Callable[[], None]) -> None:
    try:
        action()
    except psutil.NoSuchProcess:
        return


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
