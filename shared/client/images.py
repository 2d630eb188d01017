"""`/images`: a photo's verdicts, reviews, heatmap and evidence."""

import time
from uuid import UUID

from shared.client.errors import HeatmapNotFinished
from shared.client.transport import Transport
from shared.contracts.wire.evidence import EvidenceKeyList, EvidencePublicKey
from shared.contracts.wire.images import FeedbackList, FeedbackRequest, ImageDetail
from shared.contracts.wire.jobs import Review

_LONGEST_WAIT_SECONDS = 30.0
_ACCEPTED = 202


class Images:
    """Calls of the images API; for what they raise see `Transport`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, image_id: UUID) -> ImageDetail:
        """Return the photo with every verdict on it."""
        return self._transport.get(f"/images/{image_id}", ImageDetail)

    def review(self, image_id: UUID, review: FeedbackRequest) -> Review:
        """Store a reviewer's label and return it as stored."""
        return self._transport.send_for("POST", f"/images/{image_id}/feedback", Review, review)

    def reviews(self, image_id: UUID) -> list[Review]:
        """Return the newest 100 reviews, the newest first."""
        return self._transport.get(f"/images/{image_id}/feedback", FeedbackList).data

    def heatmap(self, image_id: UUID, timeout_seconds: float = 60.0) -> bytes:
        """Return the heatmap as PNG; raises HeatmapNotFinished when it takes longer."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            wait = round(min(max(0.0, deadline - time.monotonic()), _LONGEST_WAIT_SECONDS), 3)
            path = f"/images/{image_id}/heatmap"
            response = self._transport.get_response(path, {"wait": wait}, wait_seconds=wait)
            if response.status_code != _ACCEPTED:
                return response.content
            if time.monotonic() >= deadline:
                raise HeatmapNotFinished(image_id, timeout_seconds)

    def evidence(self, image_id: UUID, wait_seconds: float = 10.0) -> bytes:
        """Return the evidence bundle (ZIP); `wait_seconds` is for its heatmap, at most 30."""
        query = {"wait": wait_seconds}
        path = f"/images/{image_id}/evidence"
        return self._transport.get_response(path, query, wait_seconds=wait_seconds).content

    def evidence_keys(self) -> list[EvidencePublicKey]:
        """Return the keys that sign bundles, the current one first; [] when none does."""
        return self._transport.get("/evidence/keys", EvidenceKeyList).data
