"""Where everything lies in the stack's one directory (docs/embedded-stack.md lists it)."""

import os
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

# sun_path holds 108 bytes, and supervisor appends ".<pid>" while it creates the socket.
_SOCKET_PATH_BYTES = 96


@dataclass(frozen=True)
class Layout:
    """Paths below `root`, an absolute directory that the stack owns."""

    root: Path

    @property
    def lock(self) -> Path:
        """Locked by the process that runs the stack."""
        return self.root / "stack.lock"

    @property
    def state(self) -> Path:
        """Ports and the stack's id."""
        return self.root / "state.json"

    @property
    def secrets(self) -> Path:
        """Generated passwords and keys, mode 0600."""
        return self.root / "secrets.json"

    @property
    def client_env(self) -> Path:
        """DETECTOR_URL and DETECTOR_API_KEY for the shell, mode 0600."""
        return self.root / "detector.env"

    @property
    def web_page_env(self) -> Path:
        """The web page's own DETECTOR_API_KEY, mode 0600."""
        return self.root / "web-page.env"

    @property
    def servers_env(self) -> Path:
        """Addresses of the servers for developers, mode 0600."""
        return self.root / "servers.env"

    @property
    def prometheus(self) -> Path:
        """Configuration for a Prometheus that watches this stack."""
        return self.root / "prometheus.yml"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's cluster."""
        return self.root / "postgres"

    @property
    def valkey(self) -> Path:
        """Valkey's configuration."""
        return self.root / "valkey"

    @property
    def seaweedfs(self) -> Path:
        """Objects and the S3 identity."""
        return self.root / "seaweedfs"

    @property
    def logs(self) -> Path:
        """One log per program."""
        return self.root / "logs"

    @property
    def supervisor(self) -> Path:
        """Supervisor's configuration and control socket."""
        return self.root / "supervisor"

    @property
    def supervisor_socket(self) -> Path:
        """The control socket; outside `root` only where the kernel's path limit demands it."""
        path = self.supervisor / "control.sock"
        if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES:
            return path
        digest = sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"detector-{os.getuid()}-{digest}" / "control.sock"

    def log(self, program: str) -> Path:
        """Return the log file of one program."""
        return self.logs / f"{program}.log"

    def create(self) -> None:
        """Create the directories, closed to other users: they hold photos and secrets."""
        # Others may pass but not list: under root, PostgreSQL runs as another user.
        self.root.mkdir(mode=0o711, parents=True, exist_ok=True)
        for path in (self.postgres, self.valkey, self.seaweedfs, self.logs, self.supervisor):
            path.mkdir(mode=0o700, exist_ok=True)
        self.supervisor_socket.parent.mkdir(mode=0o700, exist_ok=True)
