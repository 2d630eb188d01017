"""The model card's tables, from parts of evaluation.json."""

from collections.abc import Iterable, Sequence
from typing import Any

# Sources with fewer photos say little by themselves; evaluation.json has them all.
_SMALLEST_SOURCE = 10

Columns = tuple[tuple[str, str], ...]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cells) + " |" for cells in rows]
    return "\n".join(lines)


def tiers_table(tiers: dict[str, Any], columns: Columns) -> str:
    """Return one row a tier, one column a metric, with its interval where there is one."""
    rows = [[tier, *(_cell(numbers, key) for key, _ in columns)] for tier, numbers in tiers.items()]
    return table(["tier", *(title for _, title in columns)], rows)


def _cell(numbers: dict[str, Any], key: str) -> str:
    if key not in numbers:
        return "-"
    interval = numbers.get(f"{key}_interval")
    text = f"{numbers[key]:.3f}"
    return f"{text} ({interval[0]:.3f}-{interval[1]:.3f})" if interval else text


def peers_table(peers: dict[str, Any]) -> str:
    """Return one row per split, tier and peer."""
    rows = [
        [
            split,
            tier,
            peer,
            str(numbers["n_real"] + numbers["n_ai_generated"]),
            _ahead(numbers, "auc"),
            _ahead(numbers, "recall_at_5pct_fpr"),
        ]
        for split, tiers in peers["splits"].items()
        for tier, entries in tiers.items()
        for peer, numbers in entries.items()
    ]
    return table(["split", "tier", "detector", "photos", "AUC", "recall at 5% FPR"], rows)


def _ahead(numbers: dict[str, Any], key: str) -> str:
    return f"{numbers[key]:.3f} ({numbers[f'{key}_ahead']:+.3f})"


def stability_table(stability: dict[str, Any]) -> str:
    """Return one row per split and tier; the last of a split is "the same in every tier"."""
    rows = []
    for split, tiers in stability.items():
        for tier, numbers in tiers.items():
            keys = ("same_label", "same_label_real", "same_label_ai_generated", "flipped")
            rows.append([split, tier.replace("_", " "), *(_share(numbers, key) for key in keys)])
    head = ["split", "tier", "same verdict", "of real", "of generated", "real and AI swapped"]
    return table(head, rows)


def _share(numbers: dict[str, Any], key: str) -> str:
    return f"{numbers[key]:.1%}" if key in numbers else ""


def operating_points_table(points: dict[str, Any]) -> str:
    """Return one row per split, tier and budget."""
    keys = ("false_accusation_rate", "recall", "ai_called_real_rate", "uncertain_rate")
    rows = [
        [split, tier, f"{entry['budget']:.0%}", *(f"{entry[key]:.3f}" for key in keys)]
        for split, tiers in points.items()
        for tier, entries in tiers.items()
        for entry in entries
    ]
    head = ["split", "tier", "budget", "real called AI", "recall", "AI called real", "uncertain"]
    return table(head, rows)


def sources_table(by_source: dict[str, Any]) -> str:
    """Return one table per split, of the first tier."""
    head = ["class", "source", "photos", "AUC", "mean probability", "called AI", "called real"]
    keys = ("auc", "mean_probability", "called_ai_generated", "called_real")
    legend = (
        f"Tier `clean`, sources of at least {_SMALLEST_SOURCE} photos. A generator's AUC is against"
        " the split's real photos, a real source's against its generated ones."
    )
    parts = [legend]
    for split, entries in by_source.items():
        rows = [
            [entry["label"], entry["source"], str(entry["n"]), *(_number(entry, k) for k in keys)]
            for entry in entries
            if entry["n"] >= _SMALLEST_SOURCE
        ]
        parts.append(f"### {split}\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def sources_tiers_table(by_tier: dict[str, Any]) -> str:
    """Return, per split, each source in every tier: AUC of generators, real photos accused."""
    legend = (
        "The same in every tier: AUC of a generator, and after the stroke its photos called"
        " `real`; of a real source its photos called `ai_generated`."
    )
    parts = [legend]
    for split, tiers in by_tier.items():
        cells: dict[tuple[str, str, int], list[str]] = {}
        for entries in tiers.values():
            for entry in entries:
                if entry["n"] >= _SMALLEST_SOURCE:
                    key = entry["label"], entry["source"], entry["n"]
                    cells.setdefault(key, []).append(_in_tier(entry))
        rows = [[label, source, str(n), *texts] for (label, source, n), texts in cells.items()]
        parts.append(f"### {split}, by tier\n\n" + table(["class", "source", "n", *tiers], rows))
    return "\n\n".join(parts)


def _in_tier(entry: dict[str, Any]) -> str:
    if entry["label"] == "real":
        return f"{entry['called_ai_generated']:.3f}"
    return f"{_number(entry, 'auc')} / {entry['called_real']:.3f}"


def _number(entry: dict[str, Any], key: str) -> str:
    return "-" if entry[key] is None else f"{entry[key]:.3f}"


def failure_pictures(pictures: Sequence[dict[str, Any]]) -> str:
    """Return one row a picture, with what was said of it and where it is from."""
    rows = [
        [
            f"![{each['label']}]({each['file']})",
            each["label"],
            f"{each['verdict']}, p = {each['probability']:.3f}",
            each["source"],
            f"[{each['attribution'] or 'source'}]({each['url']}), {each['licence']}",
        ]
        for each in pictures
    ]
    return table(["photo", "truth", "verdict", "source", "attribution and licence"], rows)
