"""A made-up marketplace's traffic of the last two days, for a drift service that runs."""

from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from services.drift.study.scores import read_scores
from services.drift.study.traffic import EPOCH, Shift, make_marketplace
from services.drift.study.windows_of import as_rows
from shared.core.settings import REPOSITORY_ROOT
from shared.db.drift.synthetic import insert_synthetic
from shared.db.engine import SessionFactory
from shared.db.models import Tenant

# For `services.drift`: windows of thin traffic, and photos of this very hour are left alone.
SETTINGS = {
    "DETECTOR_DRIFT_WINDOW_PHOTOS": "600",
    "DETECTOR_DRIFT_MIN_PHOTOS": "100",
    "DETECTOR_DRIFT_SETTLE_SECONDS": "7200",
    "DETECTOR_DRIFT_POLL_SECONDS": "1",
}
_QUIET_HOURS, _SHIFTED_HOURS = 34, 12
# The first day becomes the reference.
_PHOTOS_PER_HOUR = 150.0


class RecentTraffic:
    """First quiet hours, then, on demand, hours in which every second listing is a new generator's.

    All of it lies more than three hours back.
    """

    def __init__(self, sessions: SessionFactory) -> None:
        self._sessions = sessions
        scores = read_scores(REPOSITORY_ROOT / "models" / "0.3.1")
        self._marketplace = make_marketplace(scores, np.random.default_rng(1))
        now = (datetime.now(UTC) - EPOCH) / timedelta(hours=1)
        self._begin = int(now) - 3 - _QUIET_HOURS - _SHIFTED_HOURS
        with sessions.begin() as session:
            for number, tenant in enumerate(self._marketplace.tenants):
                session.add(Tenant(id=tenant.id, name=f"marketplace {number}"))
        self._store(self._begin, _QUIET_HOURS, Shift())
        with sessions.begin() as session:
            _review(session)

    def shift(self) -> None:
        """Store the hours of the new generator."""
        self._store(self._begin + _QUIET_HOURS, _SHIFTED_HOURS, Shift(new_share=0.5))

    def _store(self, first_hour: int, hours: int, shift: Shift) -> None:
        rng = np.random.default_rng(first_hour)
        photos = self._marketplace.week(rng, _PHOTOS_PER_HOUR, first_hour, hours, shift)
        version = self._marketplace.scores.model_version
        with self._sessions.begin() as session:
            for index, tenant in enumerate(self._marketplace.tenants):
                own = photos.take(photos.tenants == index)
                insert_synthetic(session, tenant.id, version, as_rows(own))


def _review(session: Session) -> None:
    """Have reviewers confirm some verdicts."""
    session.execute(
        text("""
        INSERT INTO feedback (id, image_id, tenant_id, label, reason, reviewer, model_version,
            model_label, overturned, created_at)
        SELECT gen_random_uuid(), i.id, i.tenant_id, v.label, 'seen', 'ann', v.model_version,
            v.label, false, v.created_at + interval '1 minute'
        FROM images i JOIN verdicts v ON v.image_id = i.id WHERE v.label <> 'uncertain'
        ORDER BY v.created_at LIMIT 200
        """)
    )
