"""Boot and end one embedded stack: servers first, then services, all under supervisor."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.local.directory.layout import Layout
from infra.local.directory.lock import DirectoryLock
from infra.local.directory.state import (
    State,
    assign_ports,
    is_free,
    load_secrets,
    load_state,
    store_state,
)
from infra.local.errors import LocalStackError
from infra.local.processes.handle import ProgramHandle
from infra.local.processes.leftovers import Marks, end_leftovers
from infra.local.processes.manager import ProcessManager
from infra.local.processes.supervisor_rpc import ProcessInfo
from infra.local.servers import Server
from infra.local.servers.embedded import PORT_NAMES, EmbeddedServers
from infra.local.servers.urls import ExternalServers, ServerUrls
from infra.local.service import Service

Report = Callable[[str], None]


def _silent(_line: str) -> None:
    return None


def _prepare(server: Server) -> None:
    try:
        server.prepare()
    except OSError as error:
        raise LocalStackError(
            f"{server.name} could not be prepared: {error}.\n"
            "What to do: check that path's owner and the free disk space (`ls -ld`, `df`)."
        ) from error


class Stack:
    """Real PostgreSQL, Valkey and S3 in one directory; optionally services beside them.

    As a context manager it starts the servers, and stops everything at the end.

    Args:
        directory: holds all data; created if missing. One running stack per directory.
        external: servers that somebody else runs; the embedded ones are then not started.
        timeout_s: longest wait for one program to be ready, in seconds.
        report: called with one line per finished step.
    """

    def __init__(
        self,
        directory: Path,
        *,
        external: ExternalServers | None = None,
        timeout_s: float = 60.0,
        report: Report = _silent,
    ) -> None:
        self.layout = Layout(directory.resolve())
        self._external = external or ExternalServers()
        self._timeout_s = timeout_s
        self._report = report
        self._lock = DirectoryLock(self.layout.lock)
        self._manager: ProcessManager | None = None
        self._marks: Marks | None = None
        self._urls: ServerUrls | None = None
        self._state: State | None = None
        self._servers: list[Server] = []
        self._handles: dict[str, ProgramHandle] = {}

    def __enter__(self) -> Self:
        self.start_servers()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def urls(self) -> ServerUrls:
        """Where the servers are. Raises LocalStackError before `start_servers`."""
        if self._urls is None:
            raise LocalStackError("the stack's servers are not started")
        return self._urls

    @property
    def supervisor_pid(self) -> int | None:
        """Process id of supervisord; None when it does not run."""
        return self._manager.pid if self._manager else None

    def program(self, name: str) -> ProgramHandle:
        """Return the control of a started server or service. Raises KeyError for another name."""
        return self._handles[name]

    def server(self, name: str) -> ProgramHandle:
        """Return the control of `postgres`, `valkey` or `seaweedfs`; KeyError if external."""
        return self.program(name)

    @property
    def programs(self) -> list[ProgramHandle]:
        """All started programs, in the order of their start."""
        return list(self._handles.values())

    def start_servers(self) -> ServerUrls:
        """End what an earlier start left behind, start the servers, wait until they answer.

        Raises:
            AlreadyRunningError: another process runs a stack in this directory.
            StartError: a server did not start; everything is stopped again.
            LocalStackError: a program is missing, or data cannot be prepared.
        """
        try:
            self.layout.create()
            self._lock.acquire()
        except OSError as error:
            raise LocalStackError(
                f"the stack's directory {self.layout.root} cannot be used: {error}.\n"
                "What to do: start as the user who owns it, or set DETECTOR_LOCAL_DIR to a "
                "directory of your own."
            ) from error
        try:
            self._urls = self._boot_servers()
        except BaseException:
            self.stop()
            raise
        return self._urls

    def _boot_servers(self) -> ServerUrls:
        state, secrets = load_state(self.layout), load_secrets(self.layout)
        before = EmbeddedServers.build(
            self.layout, dict.fromkeys(PORT_NAMES, 0) | state.ports, secrets
        )
        external = self._external.without(before.urls(ExternalServers()))
        # A copied directory has the same id but another path: the original's processes are not
        # this stack's.
        marker = f"{state.stack_id}@{self.layout.root}"
        self._marks = Marks(marker, before.binaries(), self.layout)
        if ended := end_leftovers(self._marks):
            self._report(f"ended {ended} processes that an earlier start left behind")
        self._state = state
        for server in before.needed(ExternalServers()):
            server.clean()
        assign_ports(state, list(PORT_NAMES))
        store_state(self.layout, state)
        embedded = EmbeddedServers.build(self.layout, state.ports, secrets)
        urls = embedded.urls(external)
        servers = embedded.needed(external)
        for server in servers:
            _ = server.binary  # a missing one is said before anything starts
        self._servers = servers
        self._manager = ProcessManager(self.layout, marker)
        self._manager.start(self._timeout_s)
        self._run_servers(self._manager, servers)
        return urls

    def _run_servers(self, manager: ProcessManager, servers: Sequence[Server]) -> None:
        begin = time.monotonic()
        for server in servers:
            # Each is launched before the next is prepared: initdb takes most of a first start.
            _prepare(server)
            manager.add([server.program()])
            self._handle(server.name, server.check).launch()
        for server in servers:
            self.program(server.name).wait_ready()
            server.finish()
            self._report(f"{server.name} is ready ({time.monotonic() - begin:.1f} s)")

    def port(self, name: str, preferred: int | None = None, host: str = "127.0.0.1") -> int:
        """Return a free port for a service: `preferred`, or else the same one as last time.

        Raises LocalStackError before `start_servers`.
        """
        if preferred is not None and is_free(preferred, host):
            return preferred
        if self._state is None:
            raise LocalStackError("start the servers before asking for ports")
        assign_ports(self._state, [name])
        store_state(self.layout, self._state)
        return self._state.ports[name]

    def start_services(self, services: Sequence[Service]) -> None:
        """Start services, all at once, and wait until each is ready.

        Raises:
            StartError: one ended or was not ready in time; the others run on until `stop`.
        """
        if self._manager is None:
            raise LocalStackError("start the servers before the services")
        begin = time.monotonic()
        self._manager.add([service.program for service in services])
        for service in services:
            self._handle(service.program.name, service.check).launch()
        for service in services:
            self.program(service.program.name).wait_ready()
            self._report(f"{service.program.name} is ready ({time.monotonic() - begin:.1f} s)")

    def _handle(self, name: str, check: Callable[[], object]) -> ProgramHandle:
        if self._manager is None:
            raise LocalStackError("supervisord does not run")
        log = self.layout.log(name)
        handle = ProgramHandle(name, self._manager.client, log, check, self._timeout_s)
        self._handles[name] = handle
        return handle

    def process_infos(self) -> dict[str, ProcessInfo]:
        """Return process id and state of every program; raises OSError without supervisord."""
        if self._manager is None:
            raise LocalStackError("supervisord does not run")
        return self._manager.client.infos()

    def supervisor_is_alive(self) -> bool:
        """Say whether supervisord runs; if not, programs may run without being watched."""
        return self._manager is not None and self._manager.is_running()

    def stop(self) -> None:
        """End services, then servers, then supervisord; no process is left. May be repeated."""
        if self._manager is not None:
            self._manager.stop()
            self._manager = None
        if self._marks is not None:
            end_leftovers(self._marks)
            self._marks = None
        for server in self._servers:
            server.clean()
        self._servers = []
        self._handles.clear()
        self._urls = None
        self._lock.release()
