"""One photo as the page shows it; its pictures are those of the evidence bundle."""

import base64
import io
import json
import zipfile
from dataclasses import dataclass, field
from uuid import UUID

from services.ui.thumbnails import data_uri
from shared.client.errors import ProblemResponse
from shared.client.http import DetectorClient
from shared.contracts.wire.images import ImageDetail
from shared.contracts.wire.jobs import Review

# Seconds that the heatmap may take to be made.
_HEATMAP_SECONDS = 10.0
_SIDE_PX = 900


@dataclass(frozen=True, slots=True)
class Pictures:
    """The photo and its heatmap as data URIs; `heatmap_absent` says why there is none."""

    photo: str | None = field(default=None, repr=False)
    heatmap: str | None = field(default=None, repr=False)
    heatmap_absent: str | None = None


@dataclass(frozen=True, slots=True)
class PhotoResult:
    """A photo with its reviews, the newest first; `bundle` is the evidence as a ZIP file."""

    image: ImageDetail
    reviews: list[Review]
    pictures: Pictures
    bundle: bytes | None = field(default=None, repr=False)
    bundle_absent: str | None = None


def read_photo(client: DetectorClient, image_id: UUID) -> PhotoResult:
    """Read a photo and, once it has a verdict, its evidence. Raises ClientError."""
    image = client.images.get(image_id)
    reviews = client.images.reviews(image_id)
    if image.verdict is None:
        return PhotoResult(image, reviews, Pictures())
    try:
        bundle = client.images.evidence(image_id, _HEATMAP_SECONDS)
    except ProblemResponse as error:
        if error.refuses_key or error.status == 404:
            raise
        return PhotoResult(image, reviews, Pictures(), bundle_absent=str(error))
    return PhotoResult(image, reviews, _pictures(bundle), bundle)


def _pictures(bundle: bytes) -> Pictures:
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        description = json.loads(archive.read("evidence.json"))
        photo = archive.read(description["photo"])
        name = description["heatmap"]
        heatmap = archive.read(name) if name else None
    return Pictures(
        photo=data_uri(photo, _SIDE_PX),
        heatmap=_png(heatmap) if heatmap else None,
        heatmap_absent=description["heatmap_absent"],
    )


def _png(picture: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(picture).decode()
