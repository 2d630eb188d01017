"""Where drift's commands read: the gateway, for one's own photos, or the database, for all."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from services.cli.client import gateway_client
from services.cli.output import fail
from services.cli.servers import database_session
from shared.contracts.drift import Severity

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from shared.contracts.wire.drift import DriftOverview, DriftReportDetail, DriftReportSummary
    from shared.db.models import DriftReport


class DriftSource(Protocol):
    """What `DetectorClient.drift` and the operator's view have in common."""

    def status(self) -> "DriftOverview":
        """Return where each model version stands."""

    def reports(
        self,
        *,
        severity: Iterable[Severity] = (),
        model_version: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        page_size: int = 100,
    ) -> "Iterator[DriftReportSummary]":
        """Yield the reports that fit, the newest window first."""

    def report(self, report_id: UUID) -> "DriftReportDetail":
        """Return everything that one check found."""

    def page(self, report_id: UUID) -> bytes:
        """Return the report as one HTML document."""


class AllTenants:
    """The reports of all tenants together, read in one transaction."""

    def __init__(self, session: "Session") -> None:
        self._session = session

    def status(self) -> "DriftOverview":
        """Return where each model version stands."""
        from shared.db.drift.reading import list_states, newest_run
        from shared.present.drift import overview_body

        return overview_body(list_states(self._session, None), newest_run(self._session))

    def reports(
        self,
        *,
        severity: Iterable[Severity] = (),
        model_version: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        page_size: int = 100,
    ) -> "Iterator[DriftReportSummary]":
        """Yield the reports that fit, the newest window first."""
        from shared.db.drift.reading import ReportFilter, list_reports
        from shared.present.drift import summary_body

        wanted = ReportFilter(list(severity), model_version, created_after, created_before)
        page = list_reports(self._session, None, wanted, page_size)
        yield from map(summary_body, page.reports)
        while page.next is not None:
            page = list_reports(self._session, None, wanted, page_size, page.next)
            yield from map(summary_body, page.reports)

    def report(self, report_id: UUID) -> "DriftReportDetail":
        """Return one report; exits with 2 when there is none."""
        from shared.present.drift import detail_body

        return detail_body(self._row(report_id))

    def page(self, report_id: UUID) -> bytes:
        """Return one report as HTML, without previews: the photos are their tenants'."""
        from shared.present.drift import detail_body
        from shared.present.drift_page import report_page

        return report_page(detail_body(self._row(report_id)), "all tenants together")

    def _row(self, report_id: UUID) -> "DriftReport":
        from shared.db.drift.reading import get_report

        row = get_report(self._session, None, report_id)
        if row is None:
            fail(f"there is no drift report {report_id} of all tenants together.")
        return row


@contextmanager
def drift_source(all_tenants: bool) -> Iterator[DriftSource]:
    """Open the source that is wanted, and close it again."""
    if all_tenants:
        with database_session() as session:
            yield AllTenants(session)
        return
    with gateway_client() as client:
        yield client.drift
