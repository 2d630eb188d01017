"""Start, use and end the one supervisord of a stack."""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable
from pathlib import Path

import psutil

from infra.local.directory.layout import Layout
from infra.local.errors import LocalStackError, StartError
from infra.local.processes.log_lines import advice_for, telling_lines
from infra.local.processes.program import Program, render_program
from infra.local.processes.supervisor_rpc import ENDED_STATES, SupervisorClient
from shared.core.settings import REPOSITORY_ROOT

_POLL_S = 0.02


class ProcessManager:
    """Owns supervisord, which owns the programs.

    Args:
        layout: the stack's directory.
        marker: put into each process's environment as DETECTOR_STACK_ID, so that a later start
            recognises what this one left behind.
    """

    def __init__(self, layout: Layout, marker: str) -> None:
        self._layout = layout
        self._marker = marker
        self._programs: dict[str, Program] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self.client = SupervisorClient(layout.supervisor_socket)

    @property
    def pid(self) -> int | None:
        """Process id of supervisord; None when it does not run."""
        return self._process.pid if self.is_running() and self._process else None

    def is_running(self) -> bool:
        """Say whether supervisord lives."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout_s: float) -> None:
        """Start supervisord with no program.

        Raises:
            StartError: it ended or did not answer within `timeout_s` seconds.
        """
        self._write_configuration()
        self._layout.supervisor_socket.unlink(missing_ok=True)
        output = self._layout.log("supervisord-output")
        with output.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "infra.local.supervisord", "-c", self._configuration],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._layout.supervisor,
                env=self._environment(),
                # Its own session: Ctrl-C in the terminal reaches only the stack, which then ends
                # the programs in order.
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout_s
        while not self.client.is_up():
            if not self.is_running() or time.monotonic() > deadline:
                lines = telling_lines(output, 0)
                self.kill()
                raise StartError("supervisord", "did not start", lines, output, advice_for(lines))
            time.sleep(_POLL_S)

    def add(self, programs: Iterable[Program]) -> None:
        """Make programs known to supervisord; none is started yet."""
        for program in programs:
            self._programs[program.name] = program
        self._write_configuration()
        self.client.reload()

    def stop(self) -> bool:
        """End every program, the highest priority number first, then supervisord.

        Returns:
            True for an orderly end, False if supervisord had to be killed.
        """
        if self._process is None:
            return True
        limit_s = 5.0 + sum(program.stop_wait_s for program in self._programs.values())
        orderly = True
        if self._process.poll() is None:
            self._thaw(self._process.pid)
            # Where that fails, supervisord does the same when told to end, one after the other.
            with contextlib.suppress(OSError, http.client.HTTPException, xmlrpc.client.Error):
                self._stop_programs()
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(limit_s)
            except subprocess.TimeoutExpired:
                orderly = False
        self.kill()
        return orderly

    @staticmethod
    def _thaw(pid: int) -> None:
        """Let frozen programs go on: they could not end in order."""
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(pid).children(recursive=True):
                process.resume()

    def _stop_programs(self) -> None:
        """End the programs of each priority together, the highest number first."""
        for priority in sorted({p.priority for p in self._programs.values()}, reverse=True):
            programs = [p for p in self._programs.values() if p.priority == priority]
            for program in programs:
                self.client.stop(program.name, wait=False)
            deadline = time.monotonic() + 5.0 + max(p.stop_wait_s for p in programs)
            names = {program.name for program in programs}
            while time.monotonic() < deadline:
                infos = self.client.infos()
                if all(infos[name].state in ENDED_STATES for name in names):
                    break
                time.sleep(_POLL_S)

    def kill(self) -> None:
        """End supervisord at once; its programs stay behind for `end_leftovers`."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        self._process = None

    @property
    def _configuration(self) -> Path:
        return self._layout.supervisor / "supervisord.conf"

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        environment["DETECTOR_STACK_ID"] = self._marker
        search_path = [str(REPOSITORY_ROOT), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, search_path))
        # Log files show what a service says when it says it.
        environment["PYTHONUNBUFFERED"] = "1"
        return environment

    def _write_configuration(self) -> None:
        supervisor = self._layout.supervisor
        for path in (supervisor, self._layout.supervisor_socket, self._layout.logs):
            if any(mark in str(path) for mark in ("%", " ;", " #", "\n")):
                raise LocalStackError(
                    f"supervisor cannot work in {path}: the name has a character that its "
                    "configuration file cannot hold.\nWhat to do: set DETECTOR_LOCAL_DIR to a "
                    "directory without '%', ';' and '#'."
                )
        sections = [
            f"""\
[unix_http_server]
file={self._layout.supervisor_socket}
chmod=0700

[supervisord]
nodaemon=true
silent=true
umask=077
{"user=root" if os.geteuid() == 0 else ""}
logfile={self._layout.log("supervisord")}
logfile_maxbytes=10MB
logfile_backups=1
pidfile={supervisor / "supervisord.pid"}
childlogdir={self._layout.logs}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
""",
            *(render_program(p, self._layout.log(p.name)) for p in self._programs.values()),
        ]
        # Holds the secrets of `environment=`, hence closed to others like the directory it is in.
        self._configuration.touch(mode=0o600)
        self._configuration.write_text("\n".join(sections))
