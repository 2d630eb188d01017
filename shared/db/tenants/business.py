"""Counts for those who run the marketplace: verdicts and reviews by tenant."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.contracts.states import Basis

# The versions one by one (there are few), then the index on (model_version, created_at).
_VERDICTS = text("""
WITH RECURSIVE versions(version) AS (
    SELECT max(model_version) FROM verdicts
    UNION ALL
    SELECT (SELECT max(model_version) FROM verdicts WHERE model_version < version)
    FROM versions WHERE version IS NOT NULL)
SELECT t.name AS tenant, v.label, j.kind,
    v.evidence @> '[{"kind": "conclusion"}]' AS stated, count(*) AS number
FROM versions JOIN verdicts v ON v.model_version = version
JOIN images i ON i.id = v.image_id JOIN jobs j ON j.id = i.job_id
JOIN tenants t ON t.id = i.tenant_id
WHERE v.created_at > :after AND v.created_at <= :until
GROUP BY t.name, v.label, j.kind, stated
""")

_REVIEWS = text("""
SELECT t.name AS tenant, f.label, f.overturned, count(*) AS number
FROM tenants t JOIN feedback f ON f.tenant_id = t.id
WHERE f.created_at > :after AND f.created_at <= :until
GROUP BY t.name, f.label, f.overturned
""")

_OPEN = text("""
SELECT t.name AS tenant, count(i.id) AS number
FROM tenants t LEFT JOIN images i ON i.tenant_id = t.id AND i.status IN ('queued', 'running')
GROUP BY t.name
""")


@dataclass(frozen=True, slots=True)
class VerdictCount:
    """New verdicts of one tenant; `kind` tells who asked, `basis` what decided.

    See `shared.contracts.states.JobKind` and `Basis`.
    """

    tenant: str
    label: str
    kind: str
    basis: Basis
    number: int


@dataclass(frozen=True, slots=True)
class ReviewCount:
    """New reviews of one tenant; `overturned` ones changed the label that counts."""

    tenant: str
    label: str
    overturned: bool
    number: int


def new_verdicts(session: Session, after: datetime, until: datetime) -> list[VerdictCount]:
    """Count the verdicts made in (after, until], reused ones too."""
    rows = session.execute(_VERDICTS, {"after": after, "until": until})
    return [
        VerdictCount(row.tenant, row.label, row.kind, _basis(stated=row.stated), row.number)
        for row in rows
    ]


def _basis(*, stated: bool) -> Basis:
    return Basis.STATEMENT if stated else Basis.PIXELS


def new_reviews(session: Session, after: datetime, until: datetime) -> list[ReviewCount]:
    """Count the reviews written in (after, until]."""
    rows = session.execute(_REVIEWS, {"after": after, "until": until})
    return [ReviewCount(row.tenant, row.label, row.overturned, row.number) for row in rows]


def open_images(session: Session) -> dict[str, int]:
    """Return how many photos of each tenant are not terminal; every tenant is in it."""
    return {row.tenant: row.number for row in session.execute(_OPEN)}
