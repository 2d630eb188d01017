"""Makes the heatmaps that somebody asked for."""

import time
from uuid import UUID

from celery import Celery
from sqlalchemy.exc import OperationalError

from services.worker.inference.explain import NoEvidenceError
from services.worker.inference.serving import ModelServer, OtherModelError
from services.worker.metrics import HEATMAPS
from shared.contracts.tasks import EXPLAIN_IMAGE
from shared.core.errors import ObjectCorrupt, ObjectMissing, StorageError
from shared.core.logging import get_logger
from shared.db.engine import SessionFactory
from shared.db.images import heatmaps
from shared.db.images.heatmaps import Drawn
from shared.db.models import Image
from shared.ml.errors import UnreadableImage
from shared.storage.port import ObjectStore, heatmap_key, sha256_hex

log = get_logger(__name__)


class HeatmapMaker:
    """The use case behind the task; thread-safe, and harmless to call again."""

    def __init__(self, sessions: SessionFactory, server: ModelServer, store: ObjectStore) -> None:
        self._sessions = sessions
        self._server = server
        self._store = store

    def make(self, image_id: UUID, version: str) -> str:
        """Make the heatmap of a photo by the model `version` that judged it.

        Returns what came of it, as the metric names it. A passing fault leaves the request open:
        whoever asked asks again.
        """
        started = time.perf_counter()
        try:
            with self._sessions() as session:
                image = heatmaps.wanted_image(session, image_id, version)
            if image is None or image.object_key is None or image.sha256 is None:
                result = "nothing_to_do"
            else:
                outcome = self._draw(image, image.object_key, image.sha256, version)
                with self._sessions.begin() as session:
                    heatmaps.finish(session, image_id, version, outcome)
                result = "done" if isinstance(outcome, Drawn) else "refused"
        except (StorageError, OperationalError) as error:
            log.warning("heatmap.postponed", image_id=str(image_id), error=str(error))
            result = "postponed"
        HEATMAPS.labels(result).inc()
        log.info(
            "heatmap.finished",
            image_id=str(image_id),
            model_version=version,
            result=result,
            duration_ms=round((time.perf_counter() - started) * 1000, 1),
        )
        return result

    def _draw(self, image: Image, object_key: str, sha256: str, version: str) -> Drawn | str:
        try:
            data = self._store.get(object_key, image.size, sha256)
            png = self._server.explain(data, version).png
        except (ObjectMissing, ObjectCorrupt) as error:
            return str(error)
        except (UnreadableImage, NoEvidenceError, OtherModelError, ValueError) as error:
            return str(error)
        key = heatmap_key(image.tenant_id, sha256, version)
        self._store.put(key, png, "image/png")
        return Drawn(key, sha256_hex(png), len(png))


def register(app: Celery, maker: HeatmapMaker) -> None:
    """Add the task to `app`."""

    @app.task(name=EXPLAIN_IMAGE)
    def explain_image(image_id: str, model_version: str) -> None:
        """Make one heatmap; delivered twice, the second finds it made."""
        maker.make(UUID(image_id), model_version)
