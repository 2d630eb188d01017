"""Which cause is named, with which numbers."""

from uuid import UUID

import numpy as np
import pytest

from services.drift.analysis.clusters import Cluster
from services.drift.analysis.comparison import EmbeddingFinding
from services.drift.analysis.embeddings import Embeddings
from services.drift.report.cause import Findings, name_cause
from services.drift.statistics.registry import (
    CHI2_LABELS,
    KS,
    MMD,
    NEW_CLUSTER,
    PSI,
    TOTAL_VARIATION,
)
from shared.contracts.drift import Cause, Dimension, MixShift, SegmentShift, Statistic

FORMAT, QUALITY, CATEGORY, TENANT = (
    Dimension.FORMAT, Dimension.ENCODER_QUALITY, Dimension.CATEGORY, Dimension.TENANT,
)  # fmt: skip


def statistic(entry, subject=None, drifted=True, times=2.0):
    return Statistic(
        name=entry.name,
        subject=subject or entry.subject,
        value=times * entry.threshold,
        threshold=entry.threshold,
        p_value=1e-6,
        p_adjusted=1e-5,
        drifted=drifted,
        n_reference=2000,
        n_current=4000,
    )


SCORES, CLUSTER, FILES = statistic(PSI), statistic(NEW_CLUSTER), statistic(TOTAL_VARIATION, FORMAT)


def mix(dimension, moved, explained, grown="webp"):
    return MixShift(dimension=dimension, moved_share=moved, explained=explained, grown=grown)


def segment(value, contribution, current_share, moved=True, dimension=CATEGORY):
    return SegmentShift(
        dimension=dimension,
        value=value,
        photos=100,
        reference_share=current_share,
        current_share=current_share,
        score_distance=0.4,
        contribution=contribution,
        moved=moved,
    )


def embedding(inside, everywhere, matched=False):
    """A cluster of the first photos; the values are categories of those in it, and of all."""
    categories = [*inside, *everywhere[len(inside) :]]
    sample = Embeddings(
        vectors=np.zeros((len(categories), 2)),
        ids=[UUID(int=number) for number in range(len(categories))],
        tenants=[UUID(int=0)] * len(categories),
        segments=[{CATEGORY: name} for name in categories],
        labels=["real"] * len(categories),
        probabilities=np.zeros(len(categories)),
    )
    members = np.arange(len(inside))
    return EmbeddingFinding(Cluster(np.zeros(2), 1.0, 0.01, 0.08, 1e-9, members), sample, matched)


def named(*statistics, mixes=(), segments=(), found=None):
    by_dimension = {each.dimension: each for each in mixes}
    return name_cause(Findings(statistics, by_dimension, segments, found))


def test_nothing_drifted_has_no_cause():
    quiet = statistic(PSI, drifted=False)
    cause = named(quiet, mixes=[mix(FORMAT, 0.5, 1.0)], segments=[segment("shoes", 0.9, 0.1)])
    assert (cause.kind, cause.model_relevant, cause.evidence) == (Cause.NONE, False, [])


def test_a_new_cluster_comes_before_a_change_of_files():
    moved = [mix(FORMAT, 0.5, 1.0)]
    found = embedding(["shoes"] * 8, ["other"] * 100, matched=True)
    cause = named(SCORES, FILES, CLUSTER, mixes=moved, found=found)
    assert (cause.kind, cause.model_relevant) == (Cause.NEW_CLUSTER, True)
    assert any("among files of the same kind" in each for each in cause.evidence)
    assert any(each.startswith("psi is 0.160") for each in cause.evidence)


def test_a_cluster_is_placed_where_it_holds_more_than_the_traffic():
    found = embedding(["shoes"] * 9 + ["other"], ["other"] * 100)
    cause = named(CLUSTER, found=found)
    assert (cause.dimension, cause.value) == (CATEGORY, "shoes")
    assert cause.headline == (
        "8.0% of the photos are of a kind that made up 1.0% of the reference,"
        " 90% of them with category shoes."
    )
    assert "90% of it has category shoes, of all photos 9%." in cause.evidence


def test_a_cluster_that_is_everywhere_has_no_place():
    cause = named(CLUSTER, found=embedding(["other"] * 10, ["other"] * 100))
    assert (cause.kind, cause.dimension, cause.value) == (Cause.NEW_CLUSTER, None, None)


def test_a_cluster_below_its_threshold_is_no_cause():
    calm = statistic(NEW_CLUSTER, drifted=False)
    cause = named(SCORES, calm, found=embedding(["shoes"] * 10, ["other"] * 100))
    assert cause.kind is Cause.SCORE_SHIFT


def test_changed_files_are_an_input_shift_when_the_scores_stay():
    cause = named(FILES, mixes=[mix(FORMAT, 0.5, None)])
    assert (cause.kind, cause.model_relevant) == (Cause.INPUT_SHIFT, False)
    assert (cause.dimension, cause.value) == (FORMAT, "webp")
    assert cause.headline == (
        "The mix of file format changed: 50% of the photos moved, most to webp."
    )
    assert "The scores have not moved." in cause.evidence


@pytest.mark.parametrize(
    ("explained", "kind"), [(0.6, Cause.INPUT_SHIFT), (0.59, Cause.SCORE_SHIFT)]
)
def test_changed_files_are_an_input_shift_when_the_scores_shift_goes_with_them(explained, kind):
    cause = named(SCORES, FILES, mixes=[mix(FORMAT, 0.5, explained)])
    assert cause.kind is kind
    assert any(f"explains {explained:.0%}" in each or f"only {explained:.0%}" in each
               for each in cause.evidence)  # fmt: skip


@pytest.mark.parametrize(
    ("times", "explained", "kind"),
    [
        (0.8, 0.4, Cause.INPUT_SHIFT),
        (1.6, 0.4, Cause.INPUT_SHIFT),
        (1.7, 0.4, Cause.SCORE_SHIFT),
        (0.8, 0.2, Cause.SCORE_SHIFT),
    ],
)
def test_changed_files_need_explain_no_more_than_what_counts(times, explained, kind):
    distance = statistic(KS, drifted=times >= 1, times=times)
    cause = named(SCORES, distance, FILES, mixes=[mix(FORMAT, 0.5, explained)])
    assert cause.kind is kind


def test_labels_that_moved_need_an_explanation_like_scores():
    labels = statistic(CHI2_LABELS)
    assert named(labels, FILES, mixes=[mix(FORMAT, 0.5, 0.0)]).kind is Cause.SCORE_SHIFT


def test_of_several_changed_properties_the_one_that_explains_most_is_named():
    moved = [mix(FORMAT, 0.6, 0.7), mix(QUALITY, 0.3, 0.9, "under 50")]
    cause = named(SCORES, FILES, statistic(TOTAL_VARIATION, QUALITY), mixes=moved)
    assert (cause.dimension, cause.value) == (QUALITY, "under 50")


def test_a_property_within_its_threshold_explains_nothing():
    still = statistic(TOTAL_VARIATION, FORMAT, drifted=False)
    assert named(SCORES, still, mixes=[mix(FORMAT, 0.15, 0.9)]).kind is Cause.SCORE_SHIFT


@pytest.mark.parametrize("dimension", [TENANT, CATEGORY])
def test_trade_that_explains_the_scores_is_a_traffic_mix(dimension):
    cause = named(SCORES, mixes=[mix(dimension, 0.2, 0.8, "x"), mix(FORMAT, 0.5, 0.9)])
    assert (cause.kind, cause.model_relevant) == (Cause.TRAFFIC_MIX, False)
    assert (cause.dimension, cause.value) == (dimension, "x")
    assert "That alone explains 80% of the shift of the scores." in cause.evidence


@pytest.mark.parametrize("trade", [mix(CATEGORY, 0.09, 0.9), mix(CATEGORY, 0.5, 0.59)])
def test_trade_that_hardly_moved_or_explains_little_is_not(trade):
    assert named(SCORES, mixes=[trade]).kind is Cause.SCORE_SHIFT


def test_files_are_named_before_trade():
    moved = [mix(FORMAT, 0.5, 0.7), mix(TENANT, 0.5, 1.0, "x")]
    assert named(SCORES, FILES, mixes=moved).kind is Cause.INPUT_SHIFT


def test_trade_explains_no_shift_of_embeddings_alone():
    cause = named(statistic(MMD), mixes=[mix(CATEGORY, 0.5, 0.9)])
    assert cause.kind is Cause.SCORE_SHIFT
    assert cause.headline.startswith("The photos' content has moved")
    assert any("embedding space" in each for each in cause.evidence)


def test_a_score_shift_sits_in_the_segment_that_holds_more_of_it_than_of_the_photos():
    segments = [segment("large", 0.9, 0.8), segment("shoes", 0.7, 0.1), segment("b", 0.6, 0.1)]
    cause = named(SCORES, segments=segments)
    assert (cause.kind, cause.model_relevant) == (Cause.SCORE_SHIFT, True)
    assert (cause.dimension, cause.value) == (CATEGORY, "shoes")
    assert cause.headline == "Scores have moved most where category is shoes."
    assert any("by 0.40" in each and "70%" in each for each in cause.evidence)


@pytest.mark.parametrize("place", [segment("a", 0.35, 0.1), segment("a", 0.9, 0.1, moved=False)])
def test_a_score_shift_that_is_everywhere_has_no_place(place):
    cause = named(SCORES, segments=[place])
    assert (cause.kind, cause.dimension) == (Cause.SCORE_SHIFT, None)
    assert "no change of files or trade explains it" in cause.headline
