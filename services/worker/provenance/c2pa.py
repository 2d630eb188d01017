"""Reads C2PA manifests in a child process that is killed when it takes too long."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from typing import BinaryIO, cast

from services.worker.provenance.c2pa_process import receive, send
from services.worker.provenance.findings import Finding, Kind, Says, Strength, shown

CHILD = "services.worker.provenance.c2pa_process"


class ManifestReader:
    """One child for the whole process, started with the first manifest. Thread-safe.

    `anchors` are PEM certificates: a signer under one of them is trusted, without any nobody is.
    `seconds` bounds one reading, the wait for its turn included.
    """

    def __init__(self, anchors: str = "", seconds: float = 5.0, module: str = CHILD) -> None:
        self._anchors = anchors
        self._seconds = seconds
        self._module = module
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def read(self, data: bytes, mime: str) -> Finding | None:
        """Return the finding of the file's manifest store, None when it has none after all.

        Never raises: a manifest that cannot be read is a finding of its own (`unread`).
        """
        deadline = time.monotonic() + self._seconds
        if not self._lock.acquire(timeout=self._seconds):
            return unread("its turn did not come in time")
        try:
            return self._ask(data, mime, deadline)
        finally:
            self._lock.release()

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._end()

    def _ask(self, data: bytes, mime: str, deadline: float) -> Finding | None:
        try:
            child = self._running()
            timer = threading.Timer(max(0.0, deadline - time.monotonic()), child.kill)
            timer.start()
            try:
                send(cast(BinaryIO, child.stdin), mime.encode(), data)
                answer = json.loads(receive(cast(BinaryIO, child.stdout)))
            finally:
                timer.cancel()
        except (EOFError, OSError, ValueError) as error:
            self._end()  # the next manifest gets a fresh one
            late = time.monotonic() >= deadline
            return unread("reading it took too long" if late else f"its reader ended: {error!r}")
        if answer is None:
            return None
        return unread(answer["error"]) if "error" in answer else Finding.from_entry(answer)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self._end()
            self._child = subprocess.Popen(
                [sys.executable, "-m", self._module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # None of the worker's secrets.
                env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(sys.path)},
                # A terminal's Ctrl-C is the worker's: it ends this child when it is done with it.
                start_new_session=True,
            )
            send(cast(BinaryIO, self._child.stdin), self._anchors.encode())
        return self._child

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout):
                # What was left in the buffer has no reader any more.
                with contextlib.suppress(OSError):
                    cast(BinaryIO, stream).close()


def unread(reason: str) -> Finding:
    """Return the finding of a manifest that is there and cannot be read."""
    reason = shown(reason)
    return Finding(
        Kind.C2PA,
        Says.NOTHING,
        Strength.UNREAD,
        f"The file carries a C2PA manifest that could not be read: {reason}.",
        {"reason": reason},
    )
