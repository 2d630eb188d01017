"""One engine for several callers: batches, and now and then a heatmap."""

import threading

from services.worker.engines.port import Engine, Explained, Images, Predictions


class SerialEngine:
    """See `Engine`. Unlike the one inside it may be called from any thread: one call at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self.name = engine.name
        self.precision, self.precisions = engine.precision, engine.precisions
        self.batch_size = engine.batch_size

    def predict(self, images: Images) -> Predictions:
        """See `Engine.predict`."""
        with self._lock:
            return self._engine.predict(images)

    def explain(self, image: Images) -> Explained | None:
        """See `Engine.explain`."""
        with self._lock:
            return self._engine.explain(image)
