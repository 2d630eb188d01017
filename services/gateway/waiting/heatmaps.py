"""The use case behind heatmaps: found in the store, or asked of a worker and waited for."""

import functools
import time

from sqlalchemy.orm import Session

from services.gateway.http import problems
from services.gateway.waiting.listener import next_change
from services.gateway.wiring import Gateway
from shared.contracts.states import HeatmapStatus
from shared.core.errors import ObjectCorrupt, ObjectMissing
from shared.db.images import heatmaps
from shared.db.images.rows import ImageView
from shared.db.models import Heatmap


def no_heatmap(detail: str) -> problems.ProblemError:
    """There is none, and asking again at once would not help."""
    return problems.ProblemError(problems.NO_HEATMAP, detail)


async def find_heatmap(gateway: Gateway, view: ImageView, wait_seconds: float) -> bytes | None:
    """Return the PNG of the newest verdict's heatmap, None while it is being made.

    Raises ProblemError (409) when there is none: no verdict, or the worker's reason.
    """
    verdict = view.verdict
    if verdict is None:
        raise no_heatmap("the photo has no verdict")
    ask = functools.partial(_ask, view, verdict.model_version)
    deadline = time.monotonic() + wait_seconds
    with gateway.listener.subscribe(view.image.id) as changed:
        while True:
            heatmap, asked = await gateway.in_database(ask)
            if asked:
                gateway.relay.poke()
            if heatmap.status == HeatmapStatus.FAILED:
                raise no_heatmap(heatmap.error_detail or "a worker could not make it")
            if heatmap.status == HeatmapStatus.SUCCEEDED:
                png = await _fetch(gateway, heatmap)
                if png is not None:
                    return png
            left = deadline - time.monotonic()
            if left <= 0 or gateway.listener.closing:
                return None
            await next_change(changed, min(left, gateway.settings.gateway_wait_recheck_seconds))


def _ask(view: ImageView, version: str, session: Session) -> tuple[Heatmap, bool]:
    return heatmaps.ask(session, view.image.id, version)


async def _fetch(gateway: Gateway, heatmap: Heatmap) -> bytes | None:
    """Return the stored picture; None when it is gone, which has it made again."""
    key, size, sha256 = heatmap.object_key or "", heatmap.size or 0, heatmap.sha256 or ""
    try:
        return await gateway.in_store(lambda: gateway.store.get(key, size, sha256))
    except (ObjectMissing, ObjectCorrupt):
        await gateway.in_database(lambda session: heatmaps.forget(session, heatmap))
        ask = functools.partial(_ask_again, heatmap)
        await gateway.in_database(ask)
        gateway.relay.poke()
        return None


def _ask_again(heatmap: Heatmap, session: Session) -> None:
    heatmaps.ask(session, heatmap.image_id, heatmap.model_version)
