"""`/catalogs`: photos by the thousand."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal
from uuid import UUID, uuid4

import httpx

from shared.client.errors import CatalogNotFinished
from shared.client.jobs import IDEMPOTENCY_KEY, with_cursor
from shared.client.pages import items
from shared.client.photo import Photo, header_safe
from shared.client.transport import Transport, parse
from shared.contracts.catalogs import TERMINAL_CATALOG, CatalogFormat, CatalogStatus
from shared.contracts.wire.catalogs import Catalog, CatalogPage, PrefixRequest
from shared.contracts.wire.job_requests import MAX_PAGE

RowFormat = Literal["csv", "jsonl", "parquet"]
# The gateway refreshes its counts about as often.
POLL_SECONDS = 2.0


class Catalogs:
    """Calls of the catalogs API; for what they raise see `Transport`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def submit(
        self,
        file: Photo,
        *,
        fmt: CatalogFormat | None = None,
        metadata: Mapping[str, Any] | None = None,
        webhook_url: str | None = None,
        idempotency_key: str | None = None,
    ) -> Catalog:
        """Send a manifest or a ZIP archive; its format is told from its name unless `fmt` says it.

        Sent again under one idempotency key when the connection breaks, as `Jobs.submit` does.
        Raises OSError when the file cannot be read.
        """
        fields = {
            "format": fmt and fmt.value,
            "metadata": json.dumps(metadata) if metadata else None,
            "webhook_url": webhook_url,
        }
        data = {name: value for name, value in fields.items() if value is not None}
        headers = {IDEMPOTENCY_KEY: idempotency_key or str(uuid4())}

        def send() -> httpx.Response:
            with file.open() as stream:
                files = {"file": (header_safe(file.name), stream)}
                return self._transport.http.post(
                    "/catalogs", data=data, files=files, headers=headers
                )

        return parse(self._transport.call("POST", send, repeatable=True), Catalog)

    def submit_prefix(
        self, request: PrefixRequest, *, idempotency_key: str | None = None
    ) -> Catalog:
        """Judge photos that lie in the import bucket; for the key see `submit`."""
        headers = {IDEMPOTENCY_KEY: idempotency_key or str(uuid4())}
        body = request.model_dump(mode="json", exclude_unset=True)

        def send() -> httpx.Response:
            return self._transport.http.post("/catalogs", json=body, headers=headers)

        return parse(self._transport.call("POST", send, repeatable=True), Catalog)

    def get(self, catalog_id: UUID) -> Catalog:
        """Return the catalog as it stands."""
        return self._transport.get(f"/catalogs/{catalog_id}", Catalog)

    def watch(self, catalog_id: UUID, poll_seconds: float = POLL_SECONDS) -> Iterator[Catalog]:
        """Yield the catalog every `poll_seconds`; the last one yielded is terminal."""
        while True:
            catalog = self.get(catalog_id)
            yield catalog
            if catalog.status in TERMINAL_CATALOG:
                return
            time.sleep(poll_seconds)

    def wait(
        self, catalog_id: UUID, timeout_seconds: float, poll_seconds: float = POLL_SECONDS
    ) -> Catalog:
        """Return the catalog once it is terminal; raises CatalogNotFinished after the time."""
        deadline = time.monotonic() + timeout_seconds
        for catalog in self.watch(catalog_id, poll_seconds):
            if catalog.status in TERMINAL_CATALOG:
                break
            if time.monotonic() >= deadline:
                raise CatalogNotFinished(catalog, timeout_seconds)
        return catalog

    def list(
        self, *, status: Iterable[CatalogStatus] = (), page_size: int = MAX_PAGE
    ) -> Iterator[Catalog]:
        """Yield catalogs, the newest first, reading page after page as needed."""
        query: dict[str, Any] = {
            "status": [each.value for each in status],
            "limit": page_size,
        }

        def read(cursor: str | None) -> CatalogPage:
            return self._transport.get("/catalogs", CatalogPage, with_cursor(query, cursor))

        return items(read)

    def cancel(self, catalog_id: UUID) -> Catalog:
        """Read no further and cancel the photos that wait; return the catalog as it stands."""
        return self._transport.send_for("DELETE", f"/catalogs/{catalog_id}", Catalog)

    def results(
        self, catalog_id: UUID, fmt: RowFormat = "csv"
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Stream the judged rows: `with …results(id) as parts: file.writelines(parts)`."""
        return self._transport.stream(f"/catalogs/{catalog_id}/results", {"format": fmt})

    def errors(
        self, catalog_id: UUID, fmt: RowFormat = "csv"
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Stream the rows without verdict, each with its reason; as `results`."""
        return self._transport.stream(f"/catalogs/{catalog_id}/errors", {"format": fmt})
