"""References: frozen from stored verdicts, and as JSON in their row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy.orm import Session

from services.drift.analysis.counts import Counts, Cube, Place, Scope, build_cube, together
from services.drift.analysis.embeddings import Embeddings, by_scope, from_sample
from shared.contracts.drift import Dimension, ReferenceFacts, ReferenceSource
from shared.core.errors import DetectorError
from shared.db.drift.counts import (
    Binning,
    Calibration,
    Span,
    count_verdicts,
    find_calibration,
    find_categories,
    find_edges,
)
from shared.db.drift.references import NewReference
from shared.db.drift.samples import sample_embeddings
from shared.db.models import DriftReference

# Fine bins of the logit; tests that want full bins merge them.
BINS = 40
_CATEGORIES = 30
EMBEDDINGS = 4000
_PAYLOAD_VERSION = 1


class NoReference(DetectorError):
    """A reference cannot be made of this window; the message says why."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What windows of one model version are compared with."""

    facts: ReferenceFacts
    binning: Binning
    cube: Cube
    # Of each scope; empty when the verdicts had none.
    embeddings: Mapping[Scope, Embeddings]


def freeze(session: Session, span: Span, request_id: UUID | None = None) -> NewReference:
    """Return the reference that `span`'s verdicts make, for an operator's request or unasked.

    Raises NoReference when they make none.
    """
    calibration = find_calibration(session, span)
    if calibration is None:
        raise NoReference("logits and probabilities of the window do not lie on one calibration")
    edges = find_edges(session, span, BINS)
    if not edges:
        raise NoReference("the window holds no photo that was judged anew")
    binning = Binning(edges, calibration, find_categories(session, span, _CATEGORIES))
    cube = build_cube(count_verdicts(session, span, binning), len(edges) + 1)
    sample = from_sample(sample_embeddings(session, span, binning, EMBEDDINGS))
    return NewReference(
        model_version=span.model_version,
        source=ReferenceSource.PRODUCTION,
        window_start=span.start,
        window_end=span.end,
        photos=round(cube.whole(None).photos),
        payload=as_payload(binning, cube, sample),
        embeddings=sample.vectors.astype("<f4").tobytes() if sample else None,
        request_id=request_id,
    )


def thaw(row: DriftReference) -> Reference:
    """Return a stored reference."""
    payload = row.payload
    edges = payload["edges"]
    binning = Binning(edges, Calibration(**payload["calibration"]), payload["categories"])
    bins = len(edges) + 1
    source = ReferenceSource(row.source)
    if source is ReferenceSource.EVALUATION:
        (cell,) = payload["cells"]
        cube = Cube(bins, {None: {None: _counts(cell)}}, common=True)
    else:
        cube = _production(payload["cells"], bins)
    facts = ReferenceFacts(
        id=row.id,
        source=source,
        start=row.window_start,
        end=row.window_end,
        photos=row.photos,
        independent=round(cube.whole(None).independent),
        chosen=row.request_id is not None,
    )
    return Reference(facts, binning, cube, by_scope(_embeddings(row)))


def _production(cells: Sequence[dict[str, Any]], bins: int) -> Cube:
    own: dict[UUID, dict[Place | None, Counts]] = {}
    for cell in cells:
        place = (Dimension(cell["dimension"]), cell["value"]) if cell["dimension"] else None
        own.setdefault(UUID(cell["tenant"]), {})[place] = _counts(cell)
    return Cube(bins, {None: together(own, bins), **{tenant: own[tenant] for tenant in own}})


def as_payload(binning: Binning, cube: Cube, sample: Embeddings | None) -> dict[str, Any]:
    """Return a reference as its row holds it, but for the vectors."""
    scopes: list[Scope] = [None] if cube.common else list(cube.tenants())
    return {
        "version": _PAYLOAD_VERSION,
        "edges": list(binning.edges),
        "calibration": {
            "temperature": binning.calibration.temperature,
            "bias": binning.calibration.bias,
        },
        "categories": list(binning.categories),
        "cells": [
            _cell(scope, place, counts)
            for scope in scopes
            for place, counts in cube.cells[scope].items()
        ],
        "sample": None if sample is None else _sample_facts(sample),
    }


def _cell(scope: Scope, place: Place | None, counts: Counts) -> dict[str, Any]:
    return {
        "tenant": None if scope is None else str(scope),
        "dimension": place[0] if place else None,
        "value": place[1] if place else "",
        "bins": counts.bins.tolist(),
        "logits": counts.logits.tolist(),
        "labels": counts.labels.tolist(),
        "label_p": counts.label_p.tolist(),
        "sums": counts.sums.tolist(),
        "independent": counts.independent,
        "reused": counts.reused,
    }


def _sample_facts(sample: Embeddings) -> dict[str, Any]:
    return {
        "dim": sample.vectors.shape[1],
        "ids": [str(each) for each in sample.ids],
        "tenants": [str(each) for each in sample.tenants],
        "segments": [dict(each) for each in sample.segments],
        "labels": list(sample.labels),
        "probabilities": sample.probabilities.tolist(),
    }


def _counts(cell: dict[str, Any]) -> Counts:
    return Counts(
        bins=np.array(cell["bins"], np.float64),
        logits=np.array(cell["logits"], np.float64),
        labels=np.array(cell["labels"], np.float64),
        label_p=np.array(cell["label_p"], np.float64),
        sums=np.array(cell["sums"], np.float64),
        independent=cell["independent"],
        reused=cell["reused"],
    )


def _embeddings(row: DriftReference) -> Embeddings | None:
    facts = row.payload["sample"]
    if facts is None or row.embeddings is None:
        return None
    vectors = np.frombuffer(row.embeddings, "<f4").reshape(-1, facts["dim"])
    return Embeddings(
        vectors.astype(np.float64),
        [UUID(each) for each in facts["ids"]],
        [UUID(each) for each in facts["tenants"]],
        [{Dimension(k): v for k, v in each.items()} for each in facts["segments"]],
        facts["labels"],
        np.array(facts["probabilities"], np.float64),
    )
