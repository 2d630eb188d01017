"""`/drift`: whether predictions have shifted, and why."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.client.jobs import with_cursor
from shared.client.pages import items
from shared.client.transport import Transport
from shared.contracts.drift import Severity
from shared.contracts.wire.drift import (
    DriftOverview,
    DriftReportDetail,
    DriftReportPage,
    DriftReportSummary,
)
from shared.contracts.wire.job_requests import MAX_PAGE


class Drift:
    """Calls of the drift API; for what they raise see `Transport`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def status(self) -> DriftOverview:
        """Return where each model version stands."""
        return self._transport.get("/drift", DriftOverview)

    def reports(
        self,
        *,
        severity: Iterable[Severity] = (),
        model_version: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        page_size: int = MAX_PAGE,
    ) -> Iterator[DriftReportSummary]:
        """Yield the reports that fit, the newest window first, reading page after page as needed.

        Times need a zone; `created_after` includes its instant, `created_before` does not.
        """
        filters = {
            "model_version": model_version,
            "created_after": created_after and created_after.isoformat(),
            "created_before": created_before and created_before.isoformat(),
        }
        query: dict[str, Any] = {name: text for name, text in filters.items() if text is not None}
        query |= {"severity": [each.value for each in severity], "limit": page_size}

        def read(cursor: str | None) -> DriftReportPage:
            return self._transport.get(
                "/drift/reports", DriftReportPage, with_cursor(query, cursor)
            )

        return items(read)

    def report(self, report_id: UUID) -> DriftReportDetail:
        """Return everything that one check found."""
        return self._transport.get(f"/drift/reports/{report_id}", DriftReportDetail)

    def page(self, report_id: UUID) -> bytes:
        """Return the report as one HTML document, in UTF-8."""
        return self._transport.get_response(f"/drift/reports/{report_id}/html").content
