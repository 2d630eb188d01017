"""MODEL_CARD.md, written from the manifest and evaluation.json alone: measured numbers only."""

from typing import Any

from services.training.config import RunConfig
from services.training.package.card_tables import (
    failure_pictures,
    operating_points_table,
    peers_table,
    sources_table,
    sources_tiers_table,
    stability_table,
    tiers_table,
)
from shared.ml.spec import ModelManifest

_RANKING = (
    ("auc", "AUC"),
    ("recall_at_1pct_fpr", "recall at 1% FPR"),
    ("recall_at_5pct_fpr", "recall at 5% FPR"),
    ("balanced_accuracy_at_half", "balanced accuracy at p = 0.5"),
    ("ece", "ECE"),
    ("ece_even_classes", "ECE, classes even"),
)
_DECISIONS = (
    ("false_accusation_rate", "real called AI"),
    ("recall", "recall"),
    ("precision", "precision"),
    ("f1", "F1"),
    ("accuracy", "accuracy"),
    ("balanced_accuracy", "balanced accuracy"),
    ("ai_called_real_rate", "AI called real"),
    ("uncertain_rate", "uncertain"),
    ("judged_twice_rate", "judged twice"),
)
TIERS_LEGEND = """\
Tiers: `clean` as stored; `q60`, `q40` saved again as JPEG of that quality; `half` both sides
halved, JPEG 90; `webp` quality 80; `screenshot` 6-10% of each side cut off, rescaled by 0.7-0.9
(bilinear), saved as PNG or JPEG 85. In brackets: 95% bootstrap interval."""


def model_card(manifest: ModelManifest, report: dict[str, Any]) -> str:
    """Return the card as Markdown. `report` is the content of evaluation.json."""
    parts = [
        _heading(manifest),
        _USE,
        _data(manifest, report),
        _results(report),
        _peers(report),
        _stability(manifest, report),
        _thresholds(manifest, report),
        _sources(report),
        _failures(report),
        _embedding(manifest, report),
        _latency(report),
        _LIMITS,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _heading(manifest: ModelManifest) -> str:
    training = manifest.training
    spec = manifest.one_image
    return f"""\
# {manifest.name} {manifest.version}

Tells photos made by an image generator from real ones, for product listings. Every number below
was written by the training pipeline (`python -m services.training run`), none by hand;
`detector evaluate --check` measures them again.

| | |
|---|---|
| network | `{manifest.architecture}` (timm), one logit |
| starting weights | `{training.base_weights}` |
| input | {spec.width}x{spec.height} RGB, centre crop; smaller photos are reflect-padded |
| resize | short side brought down to at most {spec.resize_short} px (LANCZOS) |
| made | {manifest.created_at:%Y-%m-%d %H:%M} UTC, seed {training.seed} |
| code | {training.git_revision or "outside git"} |
| photos to train | {training.n_train} |
| photos to select, calibrate and set thresholds | {training.n_calibration} |
| data fingerprint | `{training.data_fingerprint}` |
| licence | MIT; the starting weights are Apache-2.0 |"""


_USE = """\
## Intended use

A first opinion on listing photos, as a probability with three answers: `real`, `ai_generated`,
`uncertain`. It orders a reviewer's queue. It is not proof, and no seller should be punished on it
alone. It judges whole photos; it does not find edited regions, and its heatmap shows which parts
pulled the verdict, not which were generated."""


def _data(manifest: ModelManifest, report: dict[str, Any]) -> str:
    config = RunConfig.model_validate(manifest.training.config)
    validation = report["validation"]
    sizes = ", ".join(
        f"{size} px {value:.3f}" for size, value in validation["input_size_auc"].items()
    )
    return f"""\
## Training

Splits are by source: no shop, gallery or repository is on two sides. Both classes passed through
the same random rescaling, blur, JPEG and WebP encodings and native-resolution crops of
{config.augment.crop} px, so that file history is no clue. Both classes were drawn equally often,
and within a class a generator or source of n photos in proportion to
n^{config.data.family_exponent}.

{validation["minutes"]:.0f} minutes on {validation["device"]}, {validation["rounds"]} rounds of
{config.fit.samples_per_round} photos at most, weights averaged; the round with the best validation
AUC was kept. Mean validation AUC of clean and q40 by input size: {sizes}.
Validation photos chose checkpoint, size and thresholds, so their numbers flatter; the test numbers
below do not."""


def _results(report: dict[str, Any]) -> str:
    parts = [
        "## Results",
        "`test_unseen_source`: shops, photographers and galleries that training never saw.\n"
        "`test_unseen_generator`: generators that it never saw, against the same real photos.\n"
        + TIERS_LEGEND,
    ]
    for split, tiers in report["splits"].items():
        first = next(iter(tiers.values()))
        parts += [
            f"### {split}",
            f"{first['n_real']} real and {first['n_ai_generated']} generated photos.",
            tiers_table(tiers, _RANKING),
            "At the shipped thresholds (`uncertain` counts as not accused):",
            tiers_table(tiers, _DECISIONS),
        ]
    titles = {
        "roc": "ROC",
        "reliability": "Reliability",
        "confusion": "Verdicts at the shipped thresholds",
        "scores": "Probabilities of both classes",
    }
    parts += [
        f"![{title}]({path})"
        for path in report.get("plots", ())
        for key, title in titles.items()
        if path.endswith(f"/{key}.png")
    ]
    return "\n\n".join(parts)


def _peers(report: dict[str, Any]) -> str:
    peers = report.get("peers")
    if not peers:
        return ""
    sources = "\n".join(f"- {name}: {text}" for name, text in peers["source"].items())
    return f"""\
## Beside published detectors

On the same photos, in brackets how far this model is ahead.

{peers_table(peers)}

{sources}"""


def _stability(manifest: ModelManifest, report: dict[str, Any]) -> str:
    text = "## Stability\n\nShare of photos whose verdict is the one that they got as stored.\n\n"
    text += stability_table(report["stability"])
    second = report["validation"].get("recheck")
    if manifest.recheck is None or not second:
        return text
    return f"""\
{text}

A photo with a verdict near its threshold is judged again after JPEG
{manifest.recheck.jpeg_quality} of the pixels that the network saw; when the verdict changes, it is
`uncertain`. On the validation photos in all tiers {second["twice_rate"]:.1%} are judged twice. A
second look at every photo would overturn {second["flips_rate"]:.1%} of the verdicts; these limits
find {second["caught_rate"]:.0%} of those. Of real photos {second["false_accusation_rate"]:.2%}
stay accused, before it was {report["validation"]["false_accusation_rate"]:.2%}."""


def _thresholds(manifest: ModelManifest, report: dict[str, Any]) -> str:
    thresholds, calibration = manifest.thresholds, manifest.calibration
    chosen = report["validation"]
    bound = "which is within the budget" if chosen["bound_holds"] else "which exceeds the budget"
    return f"""\
## Probability and thresholds

P(AI-generated) = sigmoid(logit / {calibration.temperature:.4f} {calibration.bias:+.4f}), fitted on
the validation photos in all tiers, for an even prior; its ECE there, with the classes even, is
{chosen["ece"]:.3f}. `ai_generated` from
{thresholds.ai_above:.4f}, `real` up to {thresholds.real_below:.4f}, `uncertain` between.

The upper threshold follows from a budget of {thresholds.false_accusation_budget:.1%} of real photos
accused. On the validation photos {chosen["false_accusation_rate"]:.2%} are
({chosen["false_accusation_rate_by_source"]:.2%} with a source of n photos counting n^0.5;
{chosen["sources"]} sources).
The one-sided 95% upper bound is {chosen["false_accusation_bound"]:.2%}, {bound}: the larger of one
over photos (Clopper-Pearson) and one over sources (Korn-Graubard). Other sources differ: the
tables above show what the same threshold does on sources that it was not chosen on.
{_budgets(report)}""".rstrip()


def _budgets(report: dict[str, Any]) -> str:
    points = report.get("operating_points") or {}
    if not any(entries for tiers in points.values() for entries in tiers.values()):
        return ""
    return f"""
A worker may serve thresholds of another budget (`DETECTOR_WORKER_FALSE_ACCUSATION_BUDGET`), chosen
in the same way. What they do on the test photos:

{operating_points_table(points)}"""


def _sources(report: dict[str, Any]) -> str:
    return f"""\
## By source

{sources_table(report["by_source"])}

{sources_tiers_table(report["by_source_tiers"])}"""


def _failures(report: dict[str, Any]) -> str:
    pictures = report.get("failures")
    if not pictures:
        return ""
    return f"""\
## Failure cases

The photos of the test splits, as stored, whose probability is furthest on the wrong side, at most
two of a source, among those whose licence allows to show them.

{failure_pictures(pictures)}"""


def _embedding(manifest: ModelManifest, report: dict[str, Any]) -> str:
    found = manifest.embedding
    if found is None:
        return ""
    return f"""\
## Embedding

Beside the logit the network returns {found.dim} numbers that say where a photo lies among the
{found.photos} {found.fitted_on} photos: whitened principal components of what its linear head
reads, with {found.explained_variance:.0%} of the variance. They are stored with each verdict for
drift detection and take no part in it. OpenVINO and torch differ by at most
{report["embedding_parity_max_abs"]:.4f} of a standard deviation."""


def _latency(report: dict[str, Any]) -> str:
    numbers = report["latency"]
    return f"""\
## Latency

OpenVINO on {numbers["cpu_cores"]} {numbers["machine"]} CPU cores in {report["precision"]},
validation photos one by one:
preprocess {numbers["preprocess_ms_p50"]:.1f} ms (p95 {numbers["preprocess_ms_p95"]:.1f}), inference
{numbers["inference_ms_p50"]:.1f} ms (p95 {numbers["inference_ms_p95"]:.1f}); in batches of 16
{numbers["batch_16_images_per_second"]:.0f} images/s, inference only; load average of the
machine meanwhile {numbers["load_average"]:.1f}.
OpenVINO and torch logits differ by at most {report["parity_max_abs"]:.4f} on validation photos."""


_LIMITS = """\
## Limits

- The training photos are few, small (short side at most 300 px after preparation) and mostly from
  shop templates and public repositories. Compare the tables: sources, generators and tiers differ
  widely, and a shop or generator that is in none of them may do worse than any that is.
- Recall at the shipped threshold is the price of the false-accusation budget: most photos that the
  model cannot tell apart are `uncertain`.
- Nothing was measured on pictures optimised against this very model, on composites of real and
  generated parts, or on photos of screens."""
