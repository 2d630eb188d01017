"""MODEL_CARD.md, written from measured numbers only."""

from typing import Any

from services.training.calibrate import ThresholdReport
from services.training.config import RunConfig
from shared.ml.spec import ModelManifest

_METRICS = (
    ("auc", "AUC"),
    ("recall_at_1pct_fpr", "recall at 1% FPR"),
    ("recall_at_5pct_fpr", "recall at 5% FPR"),
    ("ece", "ECE"),
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
)
# Sources with fewer photos say little by themselves; evaluation.json has them all.
_SMALLEST_SOURCE = 10


def model_card(
    manifest: ModelManifest,
    config: RunConfig,
    report: dict[str, Any],
    thresholds: ThresholdReport,
) -> str:
    """Return the card as Markdown. `report` is the content of evaluation.json."""
    parts = [
        _heading(manifest),
        _USE,
        _data(config, report),
        _results(report),
        _threshold_text(manifest, thresholds),
        _sources(report),
        _latency(report),
        _LIMITS,
    ]
    return "\n\n".join(parts) + "\n"


def _heading(manifest: ModelManifest) -> str:
    training = manifest.training
    spec = manifest.preprocess
    return f"""\
# {manifest.name} {manifest.version}

Tells photos made by an image generator from real ones, for product listings. Every number below
was written by the training pipeline (`python -m services.training run`), none by hand.

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
alone. It judges whole photos; it does not find edited regions."""


def _data(config: RunConfig, report: dict[str, Any]) -> str:
    validation = report["validation"]
    chosen = ", ".join(
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
AUC was kept. Mean validation AUC of clean and q40 by input size: {chosen}.
Validation photos chose checkpoint, size and thresholds, so their numbers flatter; the test numbers
below do not."""


_RESULTS_LEGEND = """\
`test_unseen_source`: shops, photographers and galleries that training never saw.
`test_unseen_generator`: generators that it never saw, against the same real photos.
Tiers: `clean` as stored; `q60`, `q40` saved again as JPEG of that quality; `half` both sides
halved, JPEG 90; `webp` quality 80. In brackets: 95% bootstrap interval."""


def _results(report: dict[str, Any]) -> str:
    parts = ["## Results", _RESULTS_LEGEND]
    for split, tiers in report["splits"].items():
        first = next(iter(tiers.values()))
        parts += [
            f"### {split}",
            f"{first['n_real']} real and {first['n_ai_generated']} generated photos.",
            _table(tiers, _METRICS),
            "At the shipped thresholds (`uncertain` counts as not accused):",
            _table(tiers, _DECISIONS),
        ]
    return "\n\n".join(parts)


def _table(tiers: dict[str, Any], columns: tuple[tuple[str, str], ...]) -> str:
    lines = [
        "| tier | " + " | ".join(title for _, title in columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    for tier, numbers in tiers.items():
        cells = [_cell(numbers, key) for key, _ in columns]
        lines.append(f"| {tier} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(numbers: dict[str, Any], key: str) -> str:
    interval = numbers.get(f"{key}_interval")
    text = f"{numbers[key]:.3f}"
    return f"{text} ({interval[0]:.3f}-{interval[1]:.3f})" if interval else text


def _threshold_text(manifest: ModelManifest, chosen: ThresholdReport) -> str:
    thresholds, calibration = manifest.thresholds, manifest.calibration
    bound = "which is within the budget" if chosen.bound_holds else "which exceeds the budget"
    return f"""\
## Probability and thresholds

P(AI-generated) = sigmoid(logit / {calibration.temperature:.4f} {calibration.bias:+.4f}), fitted on
the validation photos in all tiers, for an even prior. `ai_generated` from
{thresholds.ai_above:.4f}, `real` up to {thresholds.real_below:.4f}, `uncertain` between.

The upper threshold follows from a budget of {thresholds.false_accusation_budget:.1%} of real photos
accused. On the validation photos {chosen.false_accusation_rate:.2%} are, and the one-sided upper
bound for photos like these is {chosen.false_accusation_bound:.2%}, {bound}. Other sources differ:
the tables above show what the same threshold does on sources that it was not chosen on."""


def _sources(report: dict[str, Any]) -> str:
    parts = [f"## By source\n\nTier `clean`, sources of at least {_SMALLEST_SOURCE} photos."]
    for split, entries in report["by_source"].items():
        lines = [
            "| class | source | photos | mean probability | called AI | called real |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {entry['label']} | {entry['source']} | {entry['n']} |"
            f" {entry['mean_probability']:.3f} | {entry['called_ai_generated']:.3f} |"
            f" {entry['called_real']:.3f} |"
            for entry in entries
            if entry["n"] >= _SMALLEST_SOURCE
        ]
        parts.append(f"### {split}\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _latency(report: dict[str, Any]) -> str:
    numbers = report["latency"]
    return f"""\
## Latency

OpenVINO on {numbers["cpu_cores"]} {numbers["machine"]} CPU cores, validation photos one by one:
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
