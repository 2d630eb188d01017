"""Stored drift checks, as the drift service writes them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from shared.contracts.drift import DriftReport, RunStatus
from shared.core.ids import new_id
from shared.db import models
from shared.db.drift.runs import NewRun, add_report, add_run, put_state

MODEL = "b0-test.1"
STEP = timedelta(hours=1)
START = datetime(2026, 11, 20, tzinfo=UTC)


def report_body(tenant_id: UUID | None, hour: int = 0, **changes: Any) -> DriftReport:
    """Return a report of the `hour`-th hour; `changes` replace members of it."""
    start = START + hour * STEP
    body: dict[str, Any] = {
        "model_version": MODEL,
        "tenant_id": tenant_id,
        "window": {"start": start, "end": start + STEP, "photos": 900, "independent": 800},
        "reference": {
            "id": new_id(),
            "source": "production",
            "start": START - 48 * STEP,
            "end": START - 24 * STEP,
            "photos": 4000,
            "independent": 3900,
        },
        "severity": "none",
        "previous_severity": "none",
        "window_severity": "none",
        "cause": {"kind": "none", "model_relevant": False, "headline": "Nothing has drifted."},
        "statistics": [
            {
                "name": "psi", "subject": "score", "value": 0.01, "threshold": 0.08,
                "p_value": 0.4, "p_adjusted": 1.0, "n_reference": 3900, "n_current": 800,
            }
        ],
        "segments": [],
        "mixes": [],
        "estimated": {
            "photos": 880, "accuracy": 0.97, "reference_accuracy": 0.98,
            "false_accusation_rate": 0.01, "recall": 0.9,
        },
        "charts": {
            "logits": {
                "edges": [-1.0, 0.0, 1.0], "reference": [5, 5, 5, 5], "current": [4, 6, 5, 5],
            },
            "labels": {"real": [0.8, 0.7], "ai_generated": [0.15, 0.2], "uncertain": [0.05, 0.1]},
            "mixes": [],
        },
        **changes,
    }  # fmt: skip
    return DriftReport.model_validate(body)


def store_check(
    session: Session,
    scopes: Sequence[UUID | None],
    hour: int = 0,
    *,
    model_version: str = MODEL,
    **changes: Any,
) -> list[UUID]:
    """Store one finished check with a report and a state for each scope; returns their ids."""
    bodies = [report_body(scope, hour, model_version=model_version, **changes) for scope in scopes]
    facts = bodies[0].window
    reference = models.DriftReference(
        model_version=model_version,
        source="production",
        window_start=bodies[0].reference.start,
        window_end=bodies[0].reference.end,
        photos=4000,
        payload={},
    )
    session.add(reference)
    session.flush()
    run = NewRun(
        model_version, facts.start, facts.end, RunStatus.CHECKED, facts.photos, 0.1, reference.id
    )
    run_id = add_run(session, run)
    assert run_id is not None
    ids = []
    for body in bodies:
        ids.append(add_report(session, run_id, body))
        state = {
            "model_version": model_version,
            "tenant_id": body.tenant_id,
            "severity": body.severity.value,
            "since": facts.start,
            "window_end": facts.end,
            "report_id": ids[-1],
        }
        put_state(session, state)
    return ids
