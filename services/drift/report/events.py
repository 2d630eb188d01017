"""The `data` of a `drift.detected` event: what a receiver needs to decide whom to wake."""

from typing import Any
from uuid import UUID

from shared.contracts.drift import DriftReport


def event_subject(report: DriftReport, report_id: UUID) -> dict[str, Any]:
    """Return a tenant's event: severity, cause, window, what drifted, photos that show it."""
    body = report.model_dump(mode="json")
    return {
        "report_id": str(report_id),
        "model_version": body["model_version"],
        "severity": body["severity"],
        "previous_severity": body["previous_severity"],
        "cause": body["cause"],
        "window": body["window"],
        "statistics": [
            {
                "name": each["name"],
                "subject": each["subject"],
                "value": each["value"],
                "threshold": each["threshold"],
                "p_adjusted": each["p_adjusted"],
            }
            for each in body["statistics"]
            if each["drifted"]
        ],
        "examples": body["examples"],
        "estimated_accuracy": body["estimated"]["accuracy"],
        "links": {"report": f"/drift/reports/{report_id}"},
    }
