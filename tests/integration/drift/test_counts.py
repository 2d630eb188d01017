"""PostgreSQL counts as NumPy does, photo for photo."""

import numpy as np
import pytest
from sqlalchemy import text

from services.drift.analysis.counts import build_cube
from services.drift.reference.frozen import freeze, thaw
from services.drift.study.traffic import CATEGORIES, moment
from services.drift.study.windows_of import make_cube
from shared.contracts.drift import Dimension
from shared.db.drift.counts import (
    Binning,
    Calibration,
    Span,
    count_verdicts,
    find_calibration,
    find_categories,
    find_edges,
)
from shared.db.drift.references import store_reference
from shared.db.drift.samples import find_examples, sample_embeddings, sample_tenants


def same(ours, expected):
    assert ours.cells.keys() == expected.cells.keys()
    for scope, cells in expected.cells.items():
        assert ours.cells[scope].keys() == cells.keys()
        for place, counts in cells.items():
            found = ours.cells[scope][place]
            for name in ("bins", "logits", "labels", "label_p", "sums"):
                got, wanted = getattr(found, name), getattr(counts, name)
                assert got == pytest.approx(wanted, rel=1e-9, abs=1e-9), (scope, place, name)
            assert (found.independent, found.reused) == (counts.independent, counts.reused)


def binning_of(marketplace, edges):
    calibration = Calibration(marketplace.scores.temperature, marketplace.scores.bias)
    return Binning(edges, calibration, list(CATEGORIES))


def test_one_statement_counts_every_segment(sessions, store, marketplace):
    photos = store(0, 12)
    edges = [float(x) for x in np.quantile(photos.logits, np.arange(1, 20) / 20)]
    span = Span(marketplace.scores.model_version, moment(0), moment(12))
    with sessions() as session:
        rows = count_verdicts(session, span, binning_of(marketplace, edges))
        ours = build_cube(rows, len(edges) + 1)
    same(ours, make_cube(marketplace, photos, np.array(edges)))


def test_a_window_holds_its_start_and_not_its_end(sessions, store, marketplace):
    photos = store(0, 3)
    span = Span(marketplace.scores.model_version, moment(1), moment(2))
    with sessions() as session:
        rows = count_verdicts(session, span, binning_of(marketplace, [0.0]))
        whole = build_cube(rows, 2).whole(None)
    inside = (photos.hours >= 1) & (photos.hours < 2)
    assert whole.photos == inside.sum()


def test_repeated_photos_are_traffic_but_no_evidence(sessions, store, marketplace):
    photos = store(0, 2)
    with sessions.begin() as session:
        session.execute(text("UPDATE verdicts SET reused_from = gen_random_uuid()"))
    span = Span(marketplace.scores.model_version, moment(0), moment(2))
    with sessions() as session:
        rows = count_verdicts(session, span, binning_of(marketplace, [0.0]))
        whole = build_cube(rows, 2).whole(None)
    assert (whole.photos, whole.independent, whole.reused) == (0, 0, len(photos))


def test_a_stated_origin_hides_the_networks_label_but_not_its_score(sessions, store, marketplace):
    photos = store(0, 2)
    with sessions.begin() as session:
        session.execute(text("UPDATE verdicts SET probability = 1, label = 'ai_generated'"))
    span = Span(marketplace.scores.model_version, moment(0), moment(2))
    with sessions() as session:
        rows = count_verdicts(session, span, binning_of(marketplace, [0.0]))
        whole = build_cube(rows, 2).whole(None)
    # The network itself was as sure of these.
    sure = (photos.probabilities > 1 - 1e-6).sum()
    assert whole.labels.tolist() == [0, 0, sure, len(photos) - sure]
    assert whole.sums[0] == pytest.approx(photos.probabilities.sum())


def test_rare_categories_count_together(sessions, store, marketplace):
    store(0, 2)
    span = Span(marketplace.scores.model_version, moment(0), moment(2))
    binning = binning_of(marketplace, [0.0])
    known = Binning(binning.edges, binning.calibration, ["shoes"])
    with sessions() as session:
        cube = build_cube(count_verdicts(session, span, known), 2)
    assert set(cube.segments(None, Dimension.CATEGORY)) == {"shoes", "(other)"}


def test_calibration_is_read_from_the_rows(sessions, store, marketplace):
    store(0, 2)
    span = Span(marketplace.scores.model_version, moment(0), moment(2))
    with sessions.begin() as session:
        # Photos with a stated origin lie on no line.
        session.execute(text("UPDATE verdicts SET probability = 1 WHERE label = 'ai_generated'"))
        found = find_calibration(session, span)
        session.execute(text("UPDATE verdicts SET probability = 0.5 WHERE label = 'uncertain'"))
        mixed = find_calibration(session, span)
    assert found is not None
    assert found.temperature == pytest.approx(marketplace.scores.temperature, rel=1e-6)
    assert found.bias == pytest.approx(marketplace.scores.bias, rel=1e-6)
    assert mixed is None


def test_edges_cut_the_reference_evenly(sessions, store, marketplace):
    photos = store(0, 6)
    span = Span(marketplace.scores.model_version, moment(0), moment(6))
    with sessions() as session:
        edges = find_edges(session, span, 10)
    counts = np.bincount(np.searchsorted(edges, photos.logits, side="right"), minlength=10)
    assert counts.sum() == len(photos)
    assert counts.max() - counts.min() <= 2


def test_a_reference_comes_back_as_it_was_frozen(sessions, store, marketplace):
    photos = store(0, 6)
    span = Span(marketplace.scores.model_version, moment(0), moment(6))
    with sessions.begin() as session:
        row = store_reference(session, freeze(session, span))
    session.close()
    reference = thaw(row)
    same(reference.cube, make_cube(marketplace, photos, np.array(reference.binning.edges)))
    firsts = photos.positions == 0
    assert len(reference.embeddings[None]) == firsts.sum()
    mean = photos.embeddings[firsts].mean(axis=0)
    assert reference.embeddings[None].vectors.mean(axis=0) == pytest.approx(mean, abs=1e-4)


def test_samples_are_bounded_one_of_each_job_and_the_same_again(sessions, store, marketplace):
    store(0, 6)
    span = Span(marketplace.scores.model_version, moment(0), moment(6))
    binning = binning_of(marketplace, [0.0])
    tenant = marketplace.tenants[0].id
    with sessions() as session:
        once = sample_embeddings(session, span, binning, 50, tenant)
        again = sample_embeddings(session, span, binning, 50, tenant)
    assert once == again
    assert len({photo.image_id for photo in once}) == 50
    assert {photo.tenant_id for photo in once} == {tenant}


def test_examples_are_of_the_segment_and_near_the_score(sessions, store, marketplace):
    photos = store(0, 6)
    span = Span(marketplace.scores.model_version, moment(0), moment(6))
    place = (Dimension.FORMAT, "webp")
    with sessions() as session:
        ids = find_examples(session, span, list(CATEGORIES), place, 1.0, 5)
        found = session.execute(
            text(
                "SELECT v.logit, i.content_type FROM verdicts v JOIN images i ON i.id = v.image_id"
                " WHERE i.id = ANY(:ids)"
            ),
            {"ids": ids},
        ).all()
    assert {row.content_type for row in found} == {"image/webp"}
    nearest = np.sort(np.abs(photos.logits[photos.formats == 1] - 1.0))[:5]
    assert sorted(abs(row.logit - 1.0) for row in found) == pytest.approx(nearest.tolist())


def test_every_tenants_sample_comes_of_one_pass(sessions, store, marketplace):
    photos = store(0, 12)
    span = Span(marketplace.scores.model_version, moment(0), moment(12))
    binning = binning_of(marketplace, [0.0])
    firsts = photos.positions == 0
    counts = {
        tenant.id: int((firsts & (photos.tenants == index)).sum())
        for index, tenant in enumerate(marketplace.tenants)
    }
    assert min(counts.values()) < 150 < max(counts.values()) - 50
    with sessions() as session:
        found = sample_tenants(session, span, binning, 150, counts)
        whole = sample_embeddings(session, span, binning, 150)
        own = {
            tenant.id: sample_embeddings(session, span, binning, 150, tenant.id)
            for tenant in marketplace.tenants
        }
    # All tenants together, and each of them, as if asked for alone.
    assert found[:150] == whole
    for tenant, sample in own.items():
        assert [photo for photo in found if photo.tenant_id == tenant] == sample
        assert len(sample) == min(150, counts[tenant])


def test_of_very_many_photos_a_part_is_examined_for_examples(sessions, store, marketplace):
    store(0, 6)
    span = Span(marketplace.scores.model_version, moment(0), moment(6))
    asked = (span, list(CATEGORIES), None, 1.0, 5)
    with sessions() as session:
        nearest = find_examples(session, *asked)
        # As if these were one in a hundred of what was looked through.
        some = find_examples(session, *asked, photos=1_000_000)
    assert len(some) == 5
    assert some != nearest


def test_categories_are_the_most_frequent_and_photos_without_one_have_none(
    sessions, store, marketplace
):
    photos = store(0, 6)
    span = Span(marketplace.scores.model_version, moment(0), moment(6))
    with sessions.begin() as session:
        session.execute(text("UPDATE jobs SET category = NULL WHERE category = 'shoes'"))
        found = find_categories(session, span, 3)
    counts = np.bincount(photos.categories, minlength=len(CATEGORIES))
    order = sorted(range(1, len(CATEGORIES)), key=lambda each: -counts[each])
    assert CATEGORIES[0] == "shoes"
    assert found == [CATEGORIES[each] for each in order[:3]]
