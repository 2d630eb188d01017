"""Verdicts that stand already: the same bytes, judged by the same model with the same settings."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.contracts.states import Label
from shared.db.jobs.results import Judged

# Of the photos with these bytes the newest few: one of an older model may lie among them, but a
# popular photo's whole history is never searched.
_LOOKED_AT = 4

# An entry of evidence for metadata that is there and was not read: out of time, perhaps. The next
# photo of these bytes is judged anew, so that a passing fault is not repeated for ever.
_UNREAD = json.dumps([{"strength": "unread"}])

_FIND = text("""
SELECT i.id AS image_id, v.model_version, v.label, v.probability, v.confidence, v.logit, v.evidence,
    v.judged_with, coalesce(v.reused_from, v.image_id) AS reused_from, v.embedding,
    twin.encoder_quality
FROM images i
CROSS JOIN LATERAL (
    SELECT id, encoder_quality FROM images
    WHERE tenant_id = i.tenant_id AND sha256 = i.sha256 AND status = 'succeeded'
    ORDER BY id DESC LIMIT :looked_at) AS twin
JOIN verdicts v ON v.image_id = twin.id AND v.model_version = :model_version
    AND v.judged_with - 'cpu' = CAST(:judged_with AS jsonb) - 'cpu'
    AND NOT v.evidence @> CAST(:unread AS jsonb)
WHERE i.id = ANY(:ids)
ORDER BY i.id, v.created_at
""")


@dataclass(frozen=True, slots=True)
class ReuseKey:
    """What a verdict rests on beside the photo's bytes; see `Verdict.judged_with`.

    Its `cpu` may be another one: in the same precision every processor gives the same verdict.
    """

    model_version: str
    judged_with: dict[str, Any]


def find_standing(session: Session, image_ids: Sequence[UUID], key: ReuseKey) -> list[Judged]:
    """Return verdicts for those of `image_ids` whose bytes the tenant had judged under `key`.

    Each names the photo that was judged in truth, also when it repeats a repetition. A verdict
    whose evidence holds metadata that could not be read is none of them.
    """
    rows = session.execute(
        _FIND,
        {
            "ids": list(image_ids),
            "model_version": key.model_version,
            "judged_with": json.dumps(key.judged_with),
            "looked_at": _LOOKED_AT,
            "unread": _UNREAD,
        },
    )
    # One of several twins is enough; they agree.
    found = {row.image_id: row for row in rows}
    return [
        Judged(
            image_id=row.image_id,
            model_version=row.model_version,
            label=Label(row.label),
            probability=row.probability,
            confidence=row.confidence,
            logit=row.logit,
            evidence=row.evidence,
            judged_with=row.judged_with,
            reused_from=row.reused_from,
            embedding=None if row.embedding is None else tuple(row.embedding),
            encoder_quality=row.encoder_quality,
        )
        for row in found.values()
    ]
