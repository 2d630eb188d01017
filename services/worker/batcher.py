"""Batches form across chunks: full, or the oldest has waited long enough."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from services.worker.engines.port import Images, Logits
from shared.core.errors import DetectorError
from shared.core.logging import get_logger

log = get_logger(__name__)


class BatchError(DetectorError):
    """The engine failed on one image even when it was alone."""


@dataclass(slots=True)
class _Item:
    image: Images  # uint8 RGB [H, W, 3]
    future: "Future[float]" = field(default_factory=Future)


class MicroBatcher:
    """One thread that gathers images and runs the engine on them.

    A batch that fails is run again one by one, so that one bad image fails alone (G4).
    """

    def __init__(
        self,
        predict: Callable[[Images], Logits],
        max_batch: int,
        max_wait_seconds: float,
        observe: Callable[[int, float], None] = lambda _size, _seconds: None,
    ) -> None:
        """`observe` is told the size and the duration in seconds of every forward pass."""
        self._predict = predict
        self._max_batch = max_batch
        self._max_wait = max_wait_seconds
        self._observe = observe
        # Bounded: a slow engine holds the decoders up instead of filling the memory.
        self._queue: queue.Queue[_Item | None] = queue.Queue(maxsize=4 * max_batch)
        self._thread = threading.Thread(target=self._loop, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, image: Images) -> "Future[float]":
        """Queue one image; the future yields its logit, or raises BatchError."""
        item = _Item(image)
        self._queue.put(item)
        return item.future

    def close(self) -> None:
        """Run what is queued, then end the thread. Nothing may be submitted afterwards."""
        self._queue.put(None)
        self._thread.join()

    def _loop(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, closing = self._gather(first)
            self._run(batch)
            if closing:
                return

    def _gather(self, first: _Item) -> tuple[list[_Item], bool]:
        batch = [first]
        deadline = time.monotonic() + self._max_wait
        while len(batch) < self._max_batch:
            try:
                item = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if item is None:
                return batch, True
            batch.append(item)
        return batch, False

    def _run(self, batch: Sequence[_Item]) -> None:
        try:
            logits = self._forward(batch)
        except Exception as error:  # noqa: BLE001  # any runtime's fault; each image is tried alone
            log.warning("batch.failed", size=len(batch), error=str(error))
            self._run_singly(batch)
            return
        for item, logit in zip(batch, logits, strict=True):
            item.future.set_result(float(logit))

    def _run_singly(self, batch: Sequence[_Item]) -> None:
        for item in batch:
            try:
                item.future.set_result(float(self._forward([item])[0]))
            except Exception as error:  # noqa: BLE001  # it becomes this image's own error
                failure = BatchError(f"{type(error).__name__}: {error}")
                failure.__cause__ = error
                item.future.set_exception(failure)

    def _forward(self, batch: Sequence[_Item]) -> Logits:
        started = time.perf_counter()
        logits = self._predict(np.stack([item.image for item in batch]))
        self._observe(len(batch), time.perf_counter() - started)
        if len(logits) != len(batch):
            raise BatchError(f"{len(batch)} images gave {len(logits)} logits")
        return logits
