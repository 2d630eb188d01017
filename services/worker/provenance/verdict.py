"""What a photo says of its own origin, beside what the model sees in its pixels."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from services.worker.metrics import CONCLUSIONS, FINDINGS
from services.worker.provenance.c2pa import ManifestReader
from services.worker.provenance.decide import Conclusive, conclusive
from services.worker.provenance.findings import Finding
from services.worker.provenance.reader import ProvenanceReader
from shared.contracts.states import Label
from shared.db.jobs.results import Judged
from shared.ml.errors import PackageError

# How files are read. A verdict under an older one is no answer for the same bytes sent again.
READING = 2


class Provenance:
    """Reads findings and lets them take part in a verdict. Thread-safe.

    `anchors` is a PEM file; signers of C2PA manifests under its certificates are trusted.
    `seconds` bounds the reading of one manifest. Raises PackageError for a file of another form.
    """

    def __init__(
        self,
        rule: Conclusive = Conclusive.STATED,
        anchors: Path | None = None,
        seconds: float = 5.0,
    ) -> None:
        self._rule = rule
        pem = _read_anchors(anchors) if anchors else ""
        self._reader = ProvenanceReader(ManifestReader(pem, seconds))
        # Part of what a verdict was judged with: with other anchors it may be another one.
        self.facts: dict[str, Any] = {
            "conclusive": rule.value,
            "reading": READING,
            "trust_anchors_sha256": hashlib.sha256(pem.encode()).hexdigest() if pem else None,
        }

    def read(self, data: bytes) -> list[Finding]:
        """Return what the file says; never raises, and a fault is a finding."""
        findings = self._reader.read(data)
        for finding in findings:
            FINDINGS.labels(finding.kind.value, finding.says.value, finding.strength.value).inc()
        return findings

    def conclude(self, judged: Judged, findings: Sequence[Finding]) -> Judged:
        """Return the verdict with the findings in its evidence.

        A conclusive one makes it `ai_generated` with probability 1: not measured, but stated by
        whoever made the image. What the pixels gave stays in the evidence, and `logit` is theirs.
        No finding ever makes a photo `real`.
        """
        evidence = [*judged.evidence, *(finding.entry() for finding in findings)]
        finding = conclusive(findings, self._rule)
        if finding is None:
            return replace(judged, evidence=evidence)
        CONCLUSIONS.labels(judged.label.value).inc()
        return replace(
            judged,
            label=Label.AI_GENERATED,
            probability=1.0,
            confidence=1.0,
            evidence=[*evidence, _conclusion(judged, finding)],
        )

    def close(self) -> None:
        """End the child process that reads manifests."""
        self._reader.close()


def _read_anchors(path: Path) -> str:
    try:
        pem = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PackageError(f"the trust anchors {path} cannot be read: {error}") from error
    if "-----BEGIN CERTIFICATE-----" not in pem:
        raise PackageError(
            f"{path} holds no PEM certificate. Set DETECTOR_WORKER_PROVENANCE_TRUST_ANCHORS."
        )
    return pem


def _conclusion(judged: Judged, finding: Finding) -> dict[str, Any]:
    return {
        "kind": "conclusion",
        "by": finding.kind.value,
        "detail": f"Called AI-generated for what the file states. {finding.detail}"
        f" The pixels alone gave {judged.label.value} with probability {judged.probability:.3f}.",
        "pixels": {
            "label": judged.label.value,
            "probability": judged.probability,
            "confidence": judged.confidence,
        },
    }
