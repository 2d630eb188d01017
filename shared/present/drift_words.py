"""Drift's vocabulary in plain words, for pages and terminals."""

from datetime import UTC, datetime

from shared.contracts.drift import Cause, Dimension, ReferenceFacts, ReferenceSource, Severity

SEVERITY_WORDS = {
    Severity.NONE: "no drift",
    Severity.WARNING: "warning",
    Severity.CRITICAL: "critical",
}
CAUSE_WORDS = {
    Cause.NONE: "Nothing has moved",
    Cause.INPUT_SHIFT: "Input shift: the files changed, not what they show",
    Cause.TRAFFIC_MIX: "Traffic mix: more of some tenant or category, each judged as before",
    Cause.NEW_CLUSTER: "New cluster: photos of a kind that the reference hardly knew",
    Cause.SCORE_SHIFT: "Score shift: scores moved, and no change of files or trade explains it",
}
CAUSE_ADVICE = {
    Cause.NONE: "There is nothing to do.",
    Cause.INPUT_SHIFT: "Find out what re-encodes or resizes the photos (an app release, a CDN, an"
    " importer). The model was trained through re-encoding; check the error rate on such files"
    " before you change anything.",
    Cause.TRAFFIC_MIX: "The model judges each part as before. If the new mix stays, freeze a new"
    " reference.",
    Cause.NEW_CLUSTER: "Look at the example photos. If they come from an image generator that the"
    " model does not know, review them, add such photos to the training data and train again."
    " Until then trust verdicts on them less.",
    Cause.SCORE_SHIFT: "Review a sample of the newest photos: is the model wrong, or are there"
    " more AI-generated photos? If it is wrong, train again with the reviewed photos.",
}
DIMENSION_WORDS = {
    Dimension.FORMAT: "file format",
    Dimension.ENCODER_QUALITY: "JPEG quality",
    Dimension.SIZE: "photo size",
    Dimension.CATEGORY: "category",
    Dimension.TENANT: "tenant",
}
_STATISTIC_WORDS = {
    "psi": "population stability index",
    "ks": "Kolmogorov–Smirnov distance",
    "jensen_shannon": "Jensen–Shannon distance",
    "wasserstein": "Wasserstein distance",
    "chi2_labels": "labels (χ²; effect: Cramér's V)",
    "mean_probability": "mean probability",
    "uncertain_rate": "share of uncertain verdicts",
    "confidence": "mean confidence",
    "mmd": "maximum mean discrepancy",
    "new_cluster": "gain of the densest new cluster",
    "total_variation": "share of photos that moved",
}


def reference_words(reference: ReferenceFacts, model_version: str) -> str:
    """Return what a window was compared with: which photos, how many, and who chose them."""
    photos = f"{reference.photos:,} photos"
    if reference.source is ReferenceSource.EVALUATION:
        return f"evaluation of {model_version}, {photos} (effective size {reference.independent:,})"
    times = [f"{moment:%Y-%m-%d %H:%M}" for moment in _window(reference)]
    by = ", chosen by the operator" if reference.chosen else ""
    return f"stored verdicts of {' to '.join(times)} UTC: {photos}{by}"


def _window(reference: ReferenceFacts) -> list[datetime]:
    return [each.astimezone(UTC) for each in (reference.start, reference.end) if each is not None]


def statistic_words(name: str) -> str:
    """Return what a statistic is called; one that is not known here keeps its name."""
    return _STATISTIC_WORDS.get(name, name)


def subject_words(subject: str) -> str:
    """Return what a statistic compares: a dimension's mix, or score, labels, embedding."""
    dimension = next((each for each in Dimension if each == subject), None)
    return subject if dimension is None else DIMENSION_WORDS[dimension]
