"""Decoding within a budget of bytes: many small photos at once, or few large ones."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ByteBudget:
    """Bytes that may be in use at once. Thread-safe; whoever waits longest comes first."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._used = 0
        self._tickets = 0
        self._serving = 0
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Wait until `size` bytes are free, and hold them; more than there are count as all."""
        size = max(0, min(size, self._total))
        with self._changed:
            ticket = self._tickets
            self._tickets += 1
            self._changed.wait_for(
                lambda: self._serving == ticket and self._used + size <= self._total
            )
            self._serving += 1
            self._used += size
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._used -= size
                self._changed.notify_all()
