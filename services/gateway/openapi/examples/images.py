"""Examples of the OpenAPI document for `/images/…`."""

from typing import Any

_IMAGE_ID = "0199f3c2-6f2c-7d01-8e1a-5b0d6f2a9c44"
_JOB_ID = "0199f3c2-6f2b-7c43-9a55-3f1f8e0c7d10"
_PATH = f"/images/{_IMAGE_ID}"

FEEDBACK_EXAMPLE: dict[str, Any] = {
    "label": "real",
    "reason": "The seller sent the original file and a second photo of the same mug.",
    "reviewer": "anna@trust",
}
REVIEW_EXAMPLE: dict[str, Any] = {
    "id": "0199f3c9-1f2c-7d01-8e1a-5b0d6f2a9c45",
    **FEEDBACK_EXAMPLE,
    "created_at": "2026-11-22T17:07:00Z",
    "model_version": "0.2.0",
    "model_label": "ai_generated",
    "overturns_verdict": True,
    "changed_label": True,
}
_VERDICT: dict[str, Any] = {
    "label": "ai_generated",
    "probability": 1.0,
    "confidence": 1.0,
    "model_version": "0.2.0",
    "basis": "statement",
    "pixels_probability": 0.97,
    "evidence": [
        {"kind": "networks", "ended_at": "tiles", "view_logit": 2.1, "tiles_logit": 3.4},
        {
            "kind": "digital_source_type",
            "says": "ai_generated",
            "strength": "declared",
            "detail": "IPTC digital source type trainedAlgorithmicMedia:"
            " made by a trained generator.",
            "found": {"where": "xmp", "value": "trainedAlgorithmicMedia"},
        },
        {
            "kind": "conclusion",
            "by": "digital_source_type",
            "detail": "Called AI-generated for what the file states. IPTC digital source type"
            " trainedAlgorithmicMedia: made by a trained generator. The pixels alone gave"
            " ai_generated with probability 0.970.",
            "pixels": {"label": "ai_generated", "probability": 0.97, "confidence": 0.97},
        },
    ],
    "created_at": "2026-11-22T17:00:00.110Z",
    "judged_with": {"false_accusation_budget": 0.01, "precision": "f32"},
    "reused_from": None,
}
IMAGE_EXAMPLE: dict[str, Any] = {
    "id": _IMAGE_ID,
    "job_id": _JOB_ID,
    "listing_id": "L-1042",
    "category": "kitchen",
    "filename": "mug.jpg",
    "source_url": None,
    "status": "succeeded",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "content_type": "image/jpeg",
    "size": 184210,
    "width": 1024,
    "height": 768,
    "created_at": "2026-11-22T17:00:00Z",
    "finished_at": "2026-11-22T17:00:00.110Z",
    "error": None,
    "label": "real",
    "verdict": _VERDICT,
    "verdicts": [_VERDICT],
    "review": REVIEW_EXAMPLE,
    "links": {
        "self": _PATH,
        "job": f"/jobs/{_JOB_ID}",
        "feedback": f"{_PATH}/feedback",
        "heatmap": f"{_PATH}/heatmap",
        "evidence": f"{_PATH}/evidence",
    },
}
PENDING_EXAMPLE: dict[str, Any] = {
    "status": "queued",
    "image_id": _IMAGE_ID,
    "model_version": "0.2.0",
    "links": {"self": f"{_PATH}/heatmap"},
}
KEYS_EXAMPLE: dict[str, Any] = {
    "data": [
        {
            "key_id": "21fe31dfa154a261",
            "algorithm": "Ed25519",
            "public_key": "-----BEGIN PUBLIC KEY-----\n"
            "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
            "-----END PUBLIC KEY-----\n",
            "current": True,
        }
    ]
}
