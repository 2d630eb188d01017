"""Services as real processes, started as a deployment starts them and ended without traces."""

import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.local.directory.state import is_free
from shared.core.settings import REPOSITORY_ROOT
from tests.support.parallel import share

# Neither given to outgoing connections nor to those who ask for any port, nor a stack's.
_PORTS = share(range(10_000, 12_000))


def free_port() -> int:
    """Return a TCP port that was free a moment ago, and that nobody here is likely to take."""
    while not is_free(port := random.choice(_PORTS)):
        pass
    return port


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Poll `condition` until it is true; fails the test with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class ServiceProcess:
    """`python -m MODULE` in a process group of its own; its output goes to a file."""

    def __init__(self, module: str, environment: Mapping[str, str], log: Path) -> None:
        self.module = module
        self.log = log
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("DETECTOR_")},
            **environment,
            "PYTHONUNBUFFERED": "1",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it (again)."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module],
                env=self._environment,
                cwd=REPOSITORY_ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id of the running process."""
        assert self._process is not None
        return self._process.pid

    def is_running(self) -> bool:
        """Return whether the process has not ended."""
        return self._process is not None and self._process.poll() is None

    def output(self) -> str:
        """Return everything it has written so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_for_line(self, text: str, seconds: float = 90.0, since: int = 0) -> None:
        """Wait until `text` appears in the output after the first `since` characters."""

        def seen() -> bool:
            assert self.is_running(), f"{self.module} ended:\n{self.output()[-3000:]}"
            return text in self.output()[since:]

        wait_until(seen, seconds, f"{self.module} writes {text!r}")

    def kill(self) -> None:
        """End the whole group at once, as the kernel's OOM killer would."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop every thread of it."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def stop(self, seconds: float = 30.0) -> int:
        """Ask it to end as a deployment does; returns the exit code. Kills it when it will not."""
        if not self.is_running():
            return 0 if self._process is None else self._process.wait()
        assert self._process is not None
        self._process.terminate()
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.module} did not stop:\n{self.output()[-3000:]}") from None

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)
        if number is signal.SIGKILL:
            self._process.wait()


def answers(url: str) -> bool:
    """Return whether `url` answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
