"""The second edition's tables, and the README's performance section made of them."""

from collections.abc import Iterator, Sequence
from typing import Any

from services.training.evaluation.buyer import of_hundred, sentence
from services.training.evaluation.photos import GENERATOR, KNOWN, SOURCE
from services.training.evaluation.report import Report
from services.training.evaluation.tiers import HEADLINE, WORDS
from services.training.package.card_tables import table
from shared.ml.spec import ModelManifest

TITLES = {
    SOURCE: "Shops, photographers and galleries that training never saw",
    GENERATOR: "Families of generators that training never saw",
    KNOWN: "Known families of generators, from galleries that training never saw",
}
# Kinds with fewer photos say little by themselves; evaluation.json has them all.
SMALLEST_KIND = 8

_GENERATED = ("found", "missed", "undecided")
_REAL = ("accused", "cleared", "undecided")
_VIEW_WORDS = {"clean": "as stored", "q40": "saved again as JPEG quality 40"}


def buyers_rows(report: Report) -> str:
    """Return one row per split and tier: of 100 photos of each class, so many."""
    head = [
        "photos",
        "tier",
        "found",
        "missed",
        "undecided",
        "real accused (95% by source)",
        "cleared",
        "undecided ",
    ]
    rows = [
        [TITLES[split], WORDS[tier], *_outcomes(numbers["buyer"])]
        for split, tier, numbers in _tiers(report["splits"])
    ]
    return table(head, rows)


def _outcomes(buyer: dict[str, Any]) -> list[str]:
    generated = of_hundred([buyer["generated"][name] for name in _GENERATED])
    accused, *others = of_hundred([buyer["real"][name] for name in _REAL], digits=1)
    low, high = (100 * value for value in buyer["real"]["accused_interval"])
    return [*generated, f"{accused} ({low:.1f}-{high:.1f})", *others]


def points_rows(report: Report) -> str:
    """Return one row per split, tier and operating point."""
    head = ["photos", "tier", "point", "found", "missed", "undecided", "real accused", "cleared"]
    head.append("undecided ")
    rows = [
        [TITLES[split], tier, _point(entry), *_outcomes(entry)]
        for split, tiers in report["operating_points"].items()
        for tier, entries in tiers.items()
        for entry in entries
    ]
    return table(head, rows)


def _point(entry: dict[str, Any]) -> str:
    return f"{100 * entry['budget']:g}%" + (" (shipped)" if entry["shipped"] else "")


def ranking_rows(splits: dict[str, Any], words: dict[str, str] = WORDS) -> str:
    """Return one row per split and tier: AUC and recalls with intervals by source, and ECE."""
    head = ["photos", "tier", "AUC", "recall at 1% accused", "at 5%", "ECE, even classes"]
    keys = ("auc", "recall_at_1pct_fpr", "recall_at_5pct_fpr")
    rows = [
        [
            TITLES[split],
            words.get(tier, tier),
            *(_with_interval(numbers, key) for key in keys),
            f"{numbers['ece_even_classes']:.3f}",
        ]
        for split, tier, numbers in _tiers(splits)
    ]
    return table(head, rows)


def _with_interval(numbers: dict[str, Any], key: str) -> str:
    low, high = numbers[f"{key}_interval"]
    return f"{numbers[key]:.3f} ({low:.3f}-{high:.3f})"


def beside_rows(report: Report, version: str) -> str:
    """Return ours and the other packages', on the same photos in the same tiers."""
    head = ["photos", "tier", "model", "AUC", "recall at 1% accused", "found", "real accused"]
    rows = []
    for split, tier, ours in _tiers(report["splits"]):
        others = {
            name: splits.get(split, {}).get(tier) for name, splits in report["beside"].items()
        }
        for name, numbers in {version: ours, **others}.items():
            if numbers is None:
                continue
            buyer = numbers["buyer"]
            rows.append(
                [
                    TITLES[split],
                    tier,
                    f"`{name}`",
                    f"{numbers['auc']:.3f}",
                    f"{numbers['recall_at_1pct_fpr']:.3f}",
                    f"{100 * buyer['generated']['found']:.0f}",
                    f"{100 * buyer['real']['accused']:.1f}",
                ]
            )
    return table(head, rows)


def kinds_rows(report: Report, tier: str = HEADLINE[0]) -> str:
    """Return a table per split: generator families, then kinds of real photos, in one tier."""
    head = ["class", "kind", "photos", "sources", "AUC", "called AI", "called real", "undecided"]
    parts = []
    for split, tiers in report["by_kind"].items():
        rows = [
            [
                "generated" if entry["label"] == "ai_generated" else "real",
                entry["kind"],
                str(entry["n"]),
                str(entry["sources"]),
                "-" if entry["auc"] is None else f"{entry['auc']:.3f}",
                *of_hundred([entry[name] for name in _names(entry)]),
            ]
            for entry in tiers[tier]
            if entry["n"] >= SMALLEST_KIND
        ]
        parts.append(f"**{TITLES[split]}**\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def _names(entry: dict[str, Any]) -> tuple[str, ...]:
    return _GENERATED if entry["label"] == "ai_generated" else _REAL


def control_rows(report: Report) -> str:
    """Return the control that sees no pixel, and both on photos of matched sizes."""
    head = ["photos", "tier", "control's AUC", "matched, of each class"]
    head += ["control there", "detector there", "detector on all"]
    rows = []
    for split, tier, numbers in _tiers(report["control"]):
        matched = numbers["matched"]
        plain = f"{report['splits'][split][tier]['auc']:.3f}"
        cells = ["-", "-", "-"]
        if matched:
            detector = _with_interval(matched, "auc")
            cells = [str(matched["n_of_each_class"]), f"{matched['control_auc']:.3f}", detector]
        control = numbers["control_auc"]
        shown = "-" if control is None else f"{control:.3f}"
        rows.append([TITLES[split], tier, shown, *cells, plain])
    return table(head, rows)


def content_rows(report: Report) -> str:
    """Return AUC against real photos of like content beside that of pairs at random."""
    head = ["photos", "tier", "generated photos", "AUC, like content", "AUC, random pairs"]
    rows = [
        [
            TITLES[split],
            tier,
            str(numbers["n_ai_generated"]),
            _with_interval(numbers, "auc"),
            f"{numbers['auc_random_pairs']:.3f}",
        ]
        for split, tier, numbers in _tiers(report["content_matched"])
        if numbers
    ]
    return table(head, rows)


def stability_rows(report: Report) -> str:
    """Return how many verdicts stay when a photo is saved again or halved."""
    head = ["photos", "then", "same verdict", "of real", "of generated", "real and AI swapped"]
    keys = ("same_label", "same_label_real", "same_label_ai_generated", "flipped")
    rows = [
        [TITLES[split], WORDS[tier], *(f"{numbers[key]:.1%}" for key in keys)]
        for split, tier, numbers in _tiers(report["stability"])
        if tier in WORDS
    ]
    return table(head, rows)


def coverage_rows(report: Report) -> str:
    """Return how many test photos there are, how many originals were at hand, and judged."""
    head = ["split", "class", "photos", "originals at hand", "judged"]
    rows = [
        [
            split,
            label,
            str(count["listed"]),
            f"{count['originals']} ({count['originals'] / max(1, count['listed']):.0%})",
            str(count["judged"]),
        ]
        for split, classes in sorted(report["coverage"].items())
        for label, count in sorted(classes.items())
    ]
    return table(head, rows)


def peers_rows(report: Report) -> str:
    """Return published detectors' AUC on the views that have their scores, and ours on them."""
    head = ["photos", "tier", "detector", "real", "generated", "its AUC", "ours"]
    rows = [
        [
            TITLES[split],
            _VIEW_WORDS.get(tier, tier),
            f"`{name}`",
            str(numbers["n_real"]),
            str(numbers["n_ai_generated"]),
            f"{numbers['auc']:.3f}",
            f"{numbers['auc_ours']:.3f}",
        ]
        for split, tiers in report["peers"]["splits"].items()
        for tier, peers in tiers.items()
        for name, numbers in peers.items()
    ]
    return table(head, rows)


def targets_rows(report: Report) -> str:
    """Return each floor with its value, the missed ones first."""
    rows = [
        [
            f"`{entry['number']}`",
            f"≥ {entry['at_least']:g}" if "at_least" in entry else f"≤ {entry['at_most']:g}",
            "-" if entry["value"] is None else f"{entry['value']:.3f}",
            "yes" if entry["met"] else "no",
        ]
        for entry in sorted(report["target"], key=lambda entry: entry["met"])
    ]
    return table(["number", "floor", "value", "met"], rows)


def performance_section(manifest: ModelManifest, report: Report) -> str:
    """Return the README's section as Markdown; `report` is the content of evaluation.json."""
    lead = [
        f"- {TITLES[split]}, {WORDS[HEADLINE[0]]}: {sentence(tiers[HEADLINE[0]]['buyer'])}."
        for split, tiers in report["splits"].items()
    ]
    intro = (
        f"Model `{manifest.version}`, at the shipped thresholds (budget"
        f" {manifest.thresholds.false_accusation_budget:.1%} of real photos accused), on photos of"
        f" sources that it was neither trained nor calibrated on, at most {report['cap']} of a"
        " source, pixels alone:"
    )
    parts = [
        intro,
        "\n".join(lead),
        "Of 100 photos of each class:",
        buyers_rows(report),
        "AUC and recall, with 95% intervals by source:",
        ranking_rows(report["splits"]),
        coverage_sentence(report),
    ]
    if report.get("beside"):
        parts += [
            "The same photos, judged by earlier models:",
            beside_rows(report, manifest.version),
        ]
    if report.get("peers"):
        parts += [
            "Published detectors, on the small stored views that have their scores:",
            peers_rows(report),
        ]
    parts.append("Everything else: [MODEL_CARD.md](models/champion/MODEL_CARD.md).")
    return "\n\n".join(parts)


def coverage_sentence(report: Report) -> str:
    """Say of how many test photos the originals were at hand."""
    counts: dict[str, list[int]] = {}
    for classes in report["coverage"].values():
        for label, count in classes.items():
            both = counts.setdefault(label, [0, 0])
            both[0] += count["originals"]
            both[1] += count["listed"]
    shares = [
        f"{found} of {listed} {'real' if label == 'real' else 'generated'} test photos"
        for label, (found, listed) in sorted(counts.items(), reverse=True)
    ]
    return f"Only photos whose original is at hand count: {' and '.join(shares)} have it."


def _tiers(splits: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for split, tiers in splits.items():
        for tier, numbers in tiers.items():
            yield split, tier, numbers


def accused_first(report: Report, tiers: Sequence[str] = HEADLINE) -> list[tuple[str, float, int]]:
    """Return (kind of real photo, share accused, photos), most accused first, over `tiers`."""
    counts: dict[str, list[float]] = {}
    for tier in tiers:
        for entry in report["by_kind"].get(SOURCE, {}).get(tier, ()):
            if entry["label"] == "real" and entry["n"] >= SMALLEST_KIND:
                both = counts.setdefault(entry["kind"], [0.0, 0.0])
                both[0] += entry["accused"] * entry["n"]
                both[1] += entry["n"]
    ranked = [(kind, hit / n, round(n / len(tiers))) for kind, (hit, n) in counts.items() if hit]
    return sorted(ranked, key=lambda each: -each[1])
