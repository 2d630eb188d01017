"""The README's performance section, written from the shipped package's evaluation."""

from pathlib import Path
from typing import Any

from services.training.errors import TrainingError
from services.training.evaluation import tables
from shared.ml.spec import ModelManifest

START, END = "<!-- performance:start -->", "<!-- performance:end -->"

_ROWS = (
    ("clean", "as stored"),
    ("q60", "saved again as JPEG quality 60"),
    ("q40", "saved again as JPEG quality 40"),
    ("half", "half size"),
    ("webp", "WebP quality 80"),
    ("screenshot", "cropped and rescaled like a screenshot"),
)
_COLUMNS = (
    ("auc", "AUC"),
    ("recall_at_5pct_fpr", "recall at 5% false accusations"),
    ("false_accusation_rate", "real called AI"),
    ("accuracy", "accuracy"),
    ("precision", "precision"),
    ("recall", "recall"),
    ("f1", "F1"),
    ("uncertain_rate", "uncertain"),
)
_TITLES = {
    "test_unseen_source": "Shops and photographers that training never saw",
    "test_unseen_generator": "Generators that training never saw",
}


def performance_section(manifest: ModelManifest, report: dict[str, Any]) -> str:
    """Return the section as Markdown; `report` is the content of evaluation.json."""
    intro = (
        f"Model `{manifest.version}` (`{manifest.architecture}`), on photos of sources that it was"
        " neither trained nor calibrated on. The last five columns are at the shipped thresholds,"
        " where `uncertain` counts as not accused. All numbers, with their intervals and per"
        " source: [MODEL_CARD.md](models/champion/MODEL_CARD.md)."
    )
    parts = [intro]
    for split, tiers in report["splits"].items():
        first = tiers["clean"]
        counts = f"{first['n_real']} real, {first['n_ai_generated']} generated photos"
        parts.append(f"**{_TITLES[split]}** ({counts})")
        parts.append(_table(tiers))
    parts += _more(report)
    latency = report["latency"]
    parts.append(
        f"Latency on {latency['cpu_cores']} CPU cores (OpenVINO): preprocess"
        f" {latency['preprocess_ms_p50']:.1f} ms, inference {latency['inference_ms_p50']:.1f} ms a"
        f" photo; in batches {latency['batch_16_images_per_second']:.0f} images/s."
    )
    return "\n\n".join(parts)


def _more(report: dict[str, Any]) -> list[str]:
    """Return what newer packages have measured besides: stability, published detectors."""
    parts = []
    if stability := report.get("stability"):
        shares = [
            numbers["same_label"]
            for tiers in stability.values()
            for tier, numbers in tiers.items()
            if tier != "every_tier"
        ]
        swapped = max(n.get("flipped", 0.0) for tiers in stability.values() for n in tiers.values())
        parts.append(
            f"Saved again in any of these ways, {min(shares):.1%} to {max(shares):.1%} of the"
            f" photos keep their verdict; at most {swapped:.1%} go from `real` to `ai_generated` or"
            " back."
        )
    if peers := report.get("peers"):
        parts.append("AUC of published detectors on the same photos, and this model's:")
        parts.append(_peers(peers["splits"], list(peers["source"])))
    return parts


def _peers(splits: dict[str, Any], names: list[str]) -> str:
    lines = [
        "| photos | " + " | ".join(f"`{name}`" for name in names) + " | this model |",
        "|---" * (len(names) + 2) + "|",
    ]
    words = dict(_ROWS)
    for split, tiers in splits.items():
        for tier, entries in tiers.items():
            cells = [f"{entries[n]['auc']:.3f}" if n in entries else "-" for n in names]
            ours = f"{next(iter(entries.values()))['auc_ours']:.3f}"
            title = f"{_TITLES[split]}, {words.get(tier, tier)}"
            lines.append(f"| {title} | " + " | ".join([*cells, ours]) + " |")
    return "\n".join(lines)


def _table(tiers: dict[str, Any]) -> str:
    lines = [
        "| photos | " + " | ".join(title for _, title in _COLUMNS) + " |",
        "|---" * (len(_COLUMNS) + 1) + "|",
    ]
    for tier, words in _ROWS:
        if tier not in tiers:  # a package measured before the tier was
            continue
        cells = [f"{tiers[tier][key]:.3f}" for key, _ in _COLUMNS]
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def with_section(readme: str, section: str) -> str:
    """Return `readme` with `section` between the two markers.

    Raises TrainingError when a marker is missing.
    """
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise TrainingError(f"README.md lacks the markers {START} and {END}")
    return f"{before}{START}\n\n{section}\n\n{END}{after}"


def update_readme(path: Path, manifest: ModelManifest, report: dict[str, Any]) -> None:
    """Write the section into the file at `path`; a package of members has one of its own."""
    section = tables.performance_section if manifest.members else performance_section
    text = with_section(path.read_text(encoding="utf-8"), section(manifest, report))
    path.write_text(text, encoding="utf-8")
