"""Batches form across chunks: full, or the oldest has waited long enough."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from services.worker.engines.port import Images
from shared.core.errors import DetectorError
from shared.core.logging import get_logger

log = get_logger(__name__)
_T = TypeVar("_T")


class BatchError(DetectorError):
    """The engine failed on one image even when it was alone."""


@dataclass(slots=True)
class _Item(Generic[_T]):
    image: Images  # uint8 RGB [H, W, 3]
    future: "Future[_T]" = field(default_factory=Future)


class _Lane(Generic[_T]):
    """Images of one kind that wait for their batch."""

    def __init__(self, max_batch: int) -> None:
        self.max_batch = max_batch
        self.items: deque[_Item[_T]] = deque()

    @property
    def is_full(self) -> bool:
        # Bounded: a slow engine holds the decoders up instead of filling the memory.
        return len(self.items) >= 4 * self.max_batch

    @property
    def has_batch(self) -> bool:
        return len(self.items) >= self.max_batch

    def take(self) -> list[_Item[_T]]:
        return [self.items.popleft() for _ in range(min(self.max_batch, len(self.items)))]


class MicroBatcher(Generic[_T]):
    """One thread that gathers images and runs the engine on them.

    Photos that somebody waits for go first: catalogs' photos (`bulk`) get a forward pass only when
    no other waits, in batches of their own that are smaller, since the one under way must end
    before anything else begins. A batch that fails is run again one by one, so that one bad image
    fails alone (G4).
    """

    def __init__(
        self,
        predict: Callable[[Images], Sequence[_T]],
        max_batch: int,
        max_wait_seconds: float,
        observe: Callable[[int, float], None] = lambda _size, _seconds: None,
        max_bulk_batch: int | None = None,
    ) -> None:
        """`observe` is told the size and the duration in seconds of every forward pass."""
        self._predict = predict
        self._max_wait = max_wait_seconds
        self._observe = observe
        self._urgent = _Lane[_T](max_batch)
        self._bulk = _Lane[_T](max_bulk_batch or max_batch)
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._loop, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, image: Images, *, bulk: bool = False) -> "Future[_T]":
        """Queue one image; the future yields its result, or raises BatchError."""
        item = _Item[_T](image)
        lane = self._bulk if bulk else self._urgent
        with self._changed:
            self._changed.wait_for(lambda: not lane.is_full)
            lane.items.append(item)
            self._changed.notify_all()
        return item.future

    def close(self) -> None:
        """Run what is queued, then end the thread. Nothing may be submitted afterwards."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _loop(self) -> None:
        while batch := self._gather():
            self._run(batch)

    def _gather(self) -> list[_Item[_T]]:
        """Return the next batch; empty once closed and nothing is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._urgent.items or self._bulk.items or self._closing)
            deadline = time.monotonic() + self._max_wait
            # A bulk batch that still forms gives way to a photo that arrives meanwhile.
            while not self._is_ready() and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            batch = (self._urgent if self._urgent.items else self._bulk).take()
            self._changed.notify_all()
            return batch

    def _is_ready(self) -> bool:
        lane = self._urgent if self._urgent.items else self._bulk
        return self._closing or lane.has_batch

    def _run(self, batch: Sequence[_Item[_T]]) -> None:
        try:
            results = self._forward(batch)
        except Exception as error:  # noqa: BLE001  # any runtime's fault; each image is tried alone
            log.warning("batch.failed", size=len(batch), error=str(error))
            self._run_singly(batch)
            return
        for item, result in zip(batch, results, strict=True):
            item.future.set_result(result)

    def _run_singly(self, batch: Sequence[_Item[_T]]) -> None:
        for item in batch:
            try:
                item.future.set_result(self._forward([item])[0])
            except Exception as error:  # noqa: BLE001  # it becomes this image's own error
                failure = BatchError(f"{type(error).__name__}: {error}")
                failure.__cause__ = error
                item.future.set_exception(failure)

    def _forward(self, batch: Sequence[_Item[_T]]) -> Sequence[_T]:
        started = time.perf_counter()
        results = self._predict(np.stack([item.image for item in batch]))
        self._observe(len(batch), time.perf_counter() - started)
        if len(results) != len(batch):
            raise BatchError(f"{len(batch)} images gave {len(results)} results")
        return results
