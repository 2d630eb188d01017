"""Drift reports as pages, with previews of their example photos."""

import base64
import functools
import io
from uuid import UUID

from fastapi import Response
from PIL import Image, ImageOps
from sqlalchemy.orm import Session

from services.gateway.wiring import Gateway
from shared.contracts.states import ImageStatus
from shared.core.errors import DetectorError
from shared.db import models
from shared.db.images.rows import get_image
from shared.present.drift import detail_body
from shared.present.drift_page import POLICY, report_page

_SIDE_PX = 240
_QUALITY = 72
_SHOWN = 12
# Decoding one takes up to a second, and the store's threads serve uploads too.
_MAX_PIXELS = 25_000_000
_MAX_BYTES = 12 << 20


async def render_report(gateway: Gateway, tenant_id: UUID, row: models.DriftReport) -> Response:
    """Return the tenant's report as HTML; photos that cannot be shown go without a preview."""
    report = detail_body(row)
    wanted = report.examples[:_SHOWN]

    def photos(session: Session) -> list[models.Image]:
        views = (get_image(session, tenant_id, image_id) for image_id in wanted)
        return [view.image for view in views if view and _can_be_shown(view.image)]

    previews: dict[UUID, str] = {}
    for image in await gateway.in_database(photos):
        uri = await gateway.in_store(functools.partial(_preview, gateway, image))
        if uri is not None:
            previews[image.id] = uri
    ui_url = str(gateway.settings.gateway_ui_url or "").rstrip("/") or None
    body = report_page(report, "the photos of your tenant", previews, ui_url)
    return Response(
        body,
        media_type="text/html",
        headers={
            "Content-Security-Policy": POLICY,
            "Cache-Control": "private, no-cache",
            "X-Content-Type-Options": "nosniff",
        },
    )


def _can_be_shown(image: models.Image) -> bool:
    # Judged ones only: a worker has decoded them before.
    return (
        image.status == ImageStatus.SUCCEEDED
        and image.object_key is not None
        and image.size <= _MAX_BYTES
        and (image.width or 0) * (image.height or 0) <= _MAX_PIXELS
    )


def _preview(gateway: Gateway, image: models.Image) -> str | None:
    """Return the photo as a small JPEG in a data URI; None when it cannot be had or decoded."""
    try:
        data = gateway.store.get(image.object_key or "", image.size, image.sha256 or "")
    except DetectorError:
        return None
    try:
        with Image.open(io.BytesIO(data)) as photo:
            photo.draft("RGB", (_SIDE_PX, _SIDE_PX))
            upright = ImageOps.exif_transpose(photo)
            upright.thumbnail((_SIDE_PX, _SIDE_PX))
            buffer = io.BytesIO()
            upright.convert("RGB").save(buffer, "JPEG", quality=_QUALITY)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
