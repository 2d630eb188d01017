"""Follows verdicts and reviews, and counts them by tenant."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import product

from services.maintenance import metrics
from shared.contracts.states import Basis, JobKind, Label
from shared.db.engine import SessionFactory
from shared.db.jobs import rescue
from shared.db.tenants import business

# Seconds. Rows carry the time at which their transaction began; no transaction takes longer (see
# `shared.db.engine`), so all rows older than this are visible and none is missed.
_SETTLED_AFTER = 60.0


class BusinessCounts:
    """Counts each row once, those made after this object first looked."""

    def __init__(self, sessions: SessionFactory, settled_after: float = _SETTLED_AFTER) -> None:
        self._sessions = sessions
        self._settled_after = timedelta(seconds=settled_after)
        self._counted_until: datetime | None = None
        self._tenants: set[str] = set()

    def count(self) -> None:
        """Add what is new since the last call."""
        with self._sessions() as session:
            until = rescue.database_time(session) - self._settled_after
            waiting = business.open_images(session)
            after = self._counted_until or until
            verdicts = business.new_verdicts(session, after, until)
            reviews = business.new_reviews(session, after, until)
        self._counted_until = until
        self._show_open(waiting)
        for verdict in verdicts:
            metrics.TENANT_VERDICTS.labels(verdict.tenant, verdict.label, verdict.kind).inc(
                verdict.number
            )
            metrics.TENANT_BASIS.labels(verdict.tenant, verdict.basis.value).inc(verdict.number)
        for review in reviews:
            outcome = "overturned" if review.overturned else "confirmed"
            metrics.TENANT_REVIEWS.labels(review.tenant, review.label, outcome).inc(review.number)

    def _show_open(self, waiting: Mapping[str, int]) -> None:
        for gone in self._tenants - waiting.keys():
            metrics.TENANT_OPEN.remove(gone)
        self._tenants = set(waiting)
        for tenant, number in waiting.items():
            _announce(tenant)
            metrics.TENANT_OPEN.labels(tenant).set(number)


def _announce(tenant: str) -> None:
    """Have every series begin at 0: Prometheus sees an increase only between two samples."""
    for label, kind in product(Label, JobKind):
        metrics.TENANT_VERDICTS.labels(tenant, label.value, kind.value)
    for basis in Basis:
        metrics.TENANT_BASIS.labels(tenant, basis.value)
    for label, outcome in product((Label.REAL, Label.AI_GENERATED), ("confirmed", "overturned")):
        metrics.TENANT_REVIEWS.labels(tenant, label.value, outcome)
