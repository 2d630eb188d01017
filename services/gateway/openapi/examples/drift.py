"""Examples of the drift routes, for the OpenAPI document."""

from typing import Any

_REPORT_ID = "0199f3c2-9d10-7a21-8c44-6e0f7a2b5d13"
_IMAGE_ID = "0199f3c2-6f2c-7d01-8e1a-5b0d6f2a9c44"
_VERSION = "0.3.1"
_LINKS = {"self": f"/drift/reports/{_REPORT_ID}", "html": f"/drift/reports/{_REPORT_ID}/html"}
_CHECK: dict[str, Any] = {
    "window_start": "2026-11-22T16:00:00Z",
    "window_end": "2026-11-22T17:00:00Z",
    "status": "checked",
    "finished_at": "2026-11-22T17:00:31Z",
}
_CAUSE: dict[str, Any] = {
    "kind": "new_cluster",
    "model_relevant": True,
    "headline": "9.6% of the photos are of a kind that made up 0.2% of the reference.",
    "dimension": None,
    "value": None,
    "evidence": [
        (
            "A ball in embedding space gained 9.4% of the traffic (p = 3e-31, on photos that it was"
            " not chosen on)."
        )
    ],
}
OVERVIEW: dict[str, Any] = {
    "severity": "critical",
    "data": [
        {
            "model_version": _VERSION,
            "severity": "critical",
            "since": "2026-11-22T16:00:00Z",
            "checked_until": "2026-11-22T17:00:00Z",
            "cause": _CAUSE,
            "last_run": _CHECK,
            "next_run_at": "2026-11-22T18:00:00Z",
            "report_id": _REPORT_ID,
            "links": {
                "report": _LINKS["self"],
                "report_html": _LINKS["html"],
                "reports": f"/drift/reports?model_version={_VERSION}",
            },
        }
    ],
    "last_run": _CHECK,
}
SUMMARY: dict[str, Any] = {
    "id": _REPORT_ID,
    "created_at": "2026-11-22T17:00:31Z",
    "model_version": _VERSION,
    "window": {
        "start": "2026-11-22T16:00:00Z",
        "end": "2026-11-22T17:00:00Z",
        "photos": 4180,
        "independent": 1391,
        "reused": 62,
    },
    "severity": "critical",
    "previous_severity": "none",
    "window_severity": "critical",
    "cause": _CAUSE,
    "links": _LINKS,
}
PAGE: dict[str, Any] = {
    "data": [SUMMARY],
    "next_cursor": None,
    "links": {"self": "/drift/reports?severity=critical", "next": None},
}
DETAIL: dict[str, Any] = {
    **SUMMARY,
    "reference": {
        "id": "0199e8a0-11c2-7e55-9a10-0c3d7f6e2b90",
        "source": "production",
        "start": "2026-11-15T00:00:00Z",
        "end": "2026-11-18T00:00:00Z",
        "photos": 251904,
        "independent": 83211,
    },
    "statistics": [
        {
            "name": "psi",
            "subject": "score",
            "value": 0.142,
            "threshold": 0.08,
            "p_value": 2.1e-19,
            "p_adjusted": 1.5e-18,
            "drifted": True,
            "n_reference": 83211,
            "n_current": 1391,
            "version": 1,
        }
    ],
    "segments": [
        {
            "dimension": "category",
            "value": "kitchen",
            "photos": 2006,
            "reference_share": 0.46,
            "current_share": 0.48,
            "reference_mean_probability": 0.11,
            "current_mean_probability": 0.17,
            "score_distance": 0.12,
            "p_adjusted": 4.0e-6,
            "contribution": 0.61,
            "moved": True,
        }
    ],
    "mixes": [
        {
            "dimension": "format",
            "moved_share": 0.03,
            "explained": 0.02,
            "grown": "webp",
            "shrunk": "jpeg",
        }
    ],
    "cluster": {
        "current_share": 0.096,
        "reference_share": 0.002,
        "photos": 133,
        "p_value": 3.0e-31,
        "mean_probability": 0.41,
        "label_shares": {"ai_generated": 0.35, "real": 0.4, "uncertain": 0.25},
        "examples": [_IMAGE_ID],
    },
    "examples": [_IMAGE_ID],
    "estimated": {
        "photos": 4118,
        "accuracy": 0.962,
        "reference_accuracy": 0.981,
        "false_accusation_rate": 0.011,
        "recall": 0.91,
    },
    "feedback": {
        "photos": 40,
        "accuracy": 0.85,
        "low": 0.71,
        "high": 0.93,
        "false_accusations": 1,
        "missed": 5,
        "since": "2026-11-15T17:00:00Z",
    },
    "charts": {
        "logits": {
            "edges": [-2.0, 0.0, 2.0],
            "reference": [40000, 30000, 8000, 5211],
            "current": [540, 500, 200, 151],
        },
        "labels": {"real": [0.86, 0.78], "ai_generated": [0.09, 0.14], "uncertain": [0.05, 0.08]},
        "mixes": [
            {
                "dimension": "format",
                "values": ["jpeg", "webp"],
                "reference": [0.91, 0.09],
                "current": [0.88, 0.12],
            }
        ],
        "embedding": None,
    },
    "notes": [],
}
