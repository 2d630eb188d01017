"""A plain HTTP client for tests: it shows status, headers and body as they are."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

TERMINAL = {"succeeded", "partial", "failed", "cancelled"}


class Api:
    """Calls one gateway with one key."""

    def __init__(self, url: str, key: str) -> None:
        self.client = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60.0
        )

    def submit(
        self, photos: Sequence[tuple[str, bytes]], fields: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """`POST /jobs` with (filename, bytes) pairs."""
        files = [("images", (name, data, "application/octet-stream")) for name, data in photos]
        return self.client.post("/jobs", files=files, data=dict(fields or {}))

    def accepted(self, photos: Sequence[tuple[str, bytes]]) -> dict[str, Any]:
        """Submit and insist on 202."""
        response = self.submit(photos)
        assert response.status_code == 202, response.text
        body: dict[str, Any] = response.json()
        return body

    def job(self, job_id: str, wait: float = 0) -> dict[str, Any]:
        """`GET /jobs/{id}`."""
        response = self.client.get(f"/jobs/{job_id}", params={"wait": wait})
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    def finished(self, job_id: str, seconds: float = 60.0) -> dict[str, Any]:
        """Long-poll until the job is terminal."""
        waited = 0.0
        while True:
            body = self.job(job_id, wait=min(20.0, seconds - waited))
            if body["status"] in TERMINAL:
                return body
            waited += 20.0
            assert waited < seconds, f"job not finished after {seconds} s: {body['status']}"

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
