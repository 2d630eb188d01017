"""A package's evaluation as a reference: weights, effective size, bins, verdicts made again."""

import io
from dataclasses import replace
from uuid import UUID

import numpy as np
import pytest

from services.drift.analysis.counts import LABELS
from services.drift.reference.evaluation import (
    effective_size,
    from_evaluation,
    share_weights,
    weighted_edges,
)
from services.drift.reference.frozen import BINS, NoReference, thaw
from shared.contracts.drift import ReferenceSource
from shared.contracts.states import Label
from shared.core.settings import REPOSITORY_ROOT
from shared.db import models
from shared.ml.errors import PackageError
from shared.ml.evaluation_photos import read_photos, write_photos
from shared.ml.package import load_package

# With a second look, which not every package has.
CHAMPION = load_package(REPOSITORY_ROOT / "models" / "0.3.1")
CONTENT = CHAMPION.evaluation_photos.read_bytes()
PHOTOS = read_photos(io.BytesIO(CONTENT))
REQUEST = UUID(int=7)


def made(ai_share=0.05, content=CONTENT, manifest=CHAMPION.manifest):
    """The reference as the service reads it again from its row."""
    new = from_evaluation(manifest, content, ai_share, REQUEST)
    row = models.DriftReference(
        id=UUID(int=1),
        model_version=new.model_version,
        source=new.source.value,
        window_start=new.window_start,
        window_end=new.window_end,
        photos=new.photos,
        payload=new.payload,
        embeddings=new.embeddings,
        request_id=new.request_id,
    )
    return thaw(row)


def content_of(photos, tmp_path):
    path = tmp_path / "photos.npz"
    write_photos(photos, path)
    return path.read_bytes()


def test_weights_give_each_class_its_share_and_photos_of_a_class_alike():
    labels = np.array([0, 0, 0, 1, 1], np.uint8)
    weights = share_weights(labels, 0.1)
    assert weights == pytest.approx([1.5, 1.5, 1.5, 0.25, 0.25])
    assert weights.sum() == pytest.approx(5)
    assert share_weights(labels, 0.0)[3:] == pytest.approx([0, 0])


@pytest.mark.parametrize(("labels", "kind"), [([1, 1], "real"), ([0, 0], "AI-generated")])
def test_a_class_without_photos_is_told(labels, kind):
    with pytest.raises(NoReference, match=f"no {kind} photo"):
        share_weights(np.array(labels, np.uint8), 0.05)


def test_kishs_effective_size():
    assert effective_size(np.full(50, 0.3)) == pytest.approx(50)
    assert effective_size(np.array([1.0, 1.0, 0.0, 0.0])) == pytest.approx(2)
    # (sum of weights)^2 / sum of squares.
    assert effective_size(np.array([3.0, 1.0])) == pytest.approx(16 / 10)


def test_edges_of_equal_weights_are_those_of_a_production_window():
    logits = np.random.default_rng(0).permutation(np.arange(1000) / 7)
    expected = np.quantile(logits, np.arange(1, 40) / 40, method="inverted_cdf")
    assert weighted_edges(logits, np.ones(1000), 40) == pytest.approx(expected.tolist())


def test_edges_follow_the_weight():
    logits = np.array([0.0, 1.0, 2.0, 3.0])
    assert weighted_edges(logits, np.array([1.0, 0.0, 0.0, 1.0]), 2) == [0.0]
    assert weighted_edges(logits, np.array([1.0, 8.0, 1.0, 1.0]), 4) == [1.0]


def test_the_champions_evaluation_as_a_reference():
    reference = made()
    facts, whole = reference.facts, reference.cube.whole(None)
    assert (facts.source, facts.photos, facts.chosen) == (
        ReferenceSource.EVALUATION,
        len(PHOTOS),
        True,
    )
    assert facts.start is None
    assert facts.end is None
    real, generated = (PHOTOS.label == 0).sum(), (PHOTOS.label == 1).sum()
    assert facts.independent == round(1 / (0.95**2 / real + 0.05**2 / generated))
    assert whole.tested_bins.sum() == pytest.approx(facts.independent, abs=1)
    assert whole.photos == pytest.approx(len(PHOTOS))
    # 40 bins of nearly even weight: none holds much more than its part.
    assert len(reference.binning.edges) == BINS - 1
    assert whole.bins.max() < 2 * len(PHOTOS) / BINS
    weights = share_weights(PHOTOS.label, 0.05)
    assert whole.logits.sum() == pytest.approx(weights @ PHOTOS.logit.astype(float))


def test_every_tenant_is_compared_with_the_whole():
    reference = made()
    tenant = UUID(int=3)
    assert reference.cube.whole(tenant) is reference.cube.whole(None)
    assert reference.embeddings == {}
    assert list(reference.cube.tenants()) == []


def test_verdicts_are_those_that_the_evaluation_reports():
    """At a share of 0 only real photos count: the rates of the package's own card."""
    labels = made(0.0).cube.whole(None).labels / len(PHOTOS)
    metrics = CHAMPION.manifest.metrics
    accused = metrics["test_unseen_source.clean.false_accusation_rate"]
    assert labels[LABELS.index(Label.AI_GENERATED)] == pytest.approx(accused, abs=1e-6)
    other = made(0.0, manifest=CHAMPION.manifest.at_budget(0.05)).cube.whole(None).labels
    assert other[LABELS.index(Label.UNCERTAIN)] < labels[LABELS.index(Label.UNCERTAIN)] * len(
        PHOTOS
    )


def test_a_photo_that_its_second_look_contradicts_is_uncertain(tmp_path):
    looked = np.isfinite(PHOTOS.second_logit)
    agreeing = replace(PHOTOS, second_logit=np.where(looked, PHOTOS.logit, np.nan))
    uncertain = LABELS.index(Label.UNCERTAIN)
    without = made(content=content_of(agreeing, tmp_path)).cube.whole(None).labels[uncertain]
    assert made().cube.whole(None).labels[uncertain] > without


def test_bytes_that_are_no_evaluation_are_refused():
    with pytest.raises(PackageError, match="cannot be read"):
        from_evaluation(CHAMPION.manifest, b"something else", 0.05, REQUEST)


def test_the_shipped_packages_evaluation_can_be_a_reference():
    shipped = load_package(REPOSITORY_ROOT / "models" / "champion")
    content = shipped.evaluation_photos.read_bytes()
    reference = made(content=content, manifest=shipped.manifest)
    assert reference.facts.photos > 500
    assert reference.cube.whole(None).photos == pytest.approx(reference.facts.photos)
