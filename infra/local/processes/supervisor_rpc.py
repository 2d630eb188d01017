"""A client of supervisor's XML-RPC interface over its unix socket."""

import http.client
import socket
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

# Supervisor's process states, http://supervisord.org/subprocess.html#process-states
STOPPED = 0
BACKOFF = 30  # ended too early, about to be started again
EXITED = 100
FATAL = 200  # given up
ENDED_STATES = frozenset({STOPPED, EXITED, FATAL})

# Faults of supervisor's interface that mean "it is so already".
_ALREADY_STARTED = 60
_NOT_RUNNING = 70


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__()
        self._path = path
        self._timeout_s = timeout_s

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        # Kept where the base class looks for it: its close() then closes the socket.
        self._connection = host, _UnixConnection(self._path, self._timeout_s)
        return self._connection[1]


@dataclass(frozen=True)
class ProcessInfo:
    """`pid` is 0 when the program does not run; `state` is supervisor's number."""

    pid: int
    state: int
    state_name: str


class SupervisorClient:
    """Each call opens one connection; raises OSError when supervisord is not there."""

    def __init__(self, socket_path: Path, timeout_s: float = 30.0) -> None:
        self._socket_path = socket_path
        self._timeout_s = timeout_s

    def _call(self, method: str, *arguments: Any) -> Any:
        transport = _UnixTransport(self._socket_path, self._timeout_s)
        try:
            with xmlrpc.client.ServerProxy("http://localhost", transport) as proxy:
                return getattr(proxy.supervisor, method)(*arguments)
        finally:
            transport.close()

    def is_up(self) -> bool:
        """Say whether supervisord answers."""
        try:
            self._call("getState")
        except (OSError, http.client.HTTPException):
            return False
        return True

    def reload(self) -> None:
        """Read the configuration file again; add the programs that are new in it."""
        added, _changed, _removed = cast("list[list[str]]", self._call("reloadConfig")[0])
        for name in added:
            self._call("addProcessGroup", name)

    def start(self, name: str) -> None:
        """Start a program; return once it is launched, not once it is ready."""
        try:
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != _ALREADY_STARTED:
                raise

    def stop(self, name: str, wait: bool = True) -> None:
        """Ask a program to end; with `wait`, return when it has."""
        try:
            self._call("stopProcess", name, wait)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode != _NOT_RUNNING:
                raise

    def info(self, name: str) -> ProcessInfo:
        """Return a program's process id and state."""
        return _process_info(self._call("getProcessInfo", name))

    def infos(self) -> dict[str, ProcessInfo]:
        """Return `info` of every program by name."""
        return {raw["name"]: _process_info(raw) for raw in self._call("getAllProcessInfo")}


def _process_info(raw: dict[str, Any]) -> ProcessInfo:
    return ProcessInfo(raw["pid"], raw["state"], raw["statename"])
