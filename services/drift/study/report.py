"""The study's numbers as a part of docs/drift.md."""

from typing import Any

from services.drift.analysis.accuracy import wilson

MARK = "<!-- figures: {} -->"


def render(numbers: dict[str, Any]) -> str:
    """Return the tables, as far as their parts were run."""
    version = numbers["model_version"]
    source = f"photos as model {version} saw them in its evaluation"
    seeds = ", ".join(f"{part} {seed}" for part, seed in numbers["seeds"].items())
    parts = [f"Written by `python -m services.drift.study`; {source}. Seeds: {seeds}."]
    if "quiet" in numbers:
        parts.append(_quiet(numbers["quiet"]))
    if "shifts" in numbers:
        parts.append(_shifts(numbers["shifts"], numbers["left_out"]))
    if "files" in numbers:
        parts.append(_files(numbers["files"]))
    if "evaluation" in numbers:
        parts.append(_evaluation(numbers["evaluation"]))
    return "\n\n".join(parts)


def _quiet(found: dict[str, Any]) -> str:
    traffic = f"{found['weeks']} weeks without drift, {found['photos']:,} photos"
    traffic += f", windows of {found['window_photos']}"
    rows = [
        f"| {name} | {each['checks']} | {each['suspicious']} | {each['alerting']} |"
        f" {each['rate']:.2%} | {each['upper']:.2%} |"
        for name, each in (
            ("all tenants together", found["all"]),
            ("one tenant", found["tenants"]),
            ("both", found["every"]),
        )
    ]
    return "\n".join(
        [
            f"**False alarms**: {traffic}. Suspicious: what one window alone would say.",
            "",
            "| scope | checks | suspicious | alerting | rate | 95% upper bound |",
            "|---|---|---|---|---|---|",
            *rows,
        ]
    )


def _shifts(found: list[dict[str, Any]], left_out: list[tuple[str, int]]) -> str:
    head = "| share of the listings | generator | its photos | embeddings | told | 95% interval |"
    lines = [
        "**A new generator**: told of within two windows of its beginning.",
        "",
        f"{head} named the model's concern | named `new_cluster` |",
        "|---|---|---|---|---|---|---|---|",
        *map(_shift, found),
    ]
    largest = max(each["share"] for each in found)
    for embeddings, words in ((True, "with embeddings"), (False, "without")):
        own = [
            each for each in found if each["share"] == largest and each["embeddings"] is embeddings
        ]
        runs, caught = (sum(each[key] for each in own) for key in ("runs", "caught"))
        if runs:
            lines.append("")
            lines.append(
                f"All generators at {largest:.0%}, {words}: {caught / runs:.1%} of {runs} runs"
                f" (95% interval {_interval(caught, runs)})."
            )
    few = ", ".join(f"{name} ({photos})" for name, photos in left_out)
    lines += ["", f"Left out, for too few photos to draw from: {few}."]
    return "\n".join(lines)


def _shift(found: dict[str, Any]) -> str:
    cells = [
        f"{found['share']:.0%}",
        found["generator"],
        str(found["photos"]),
        "yes" if found["embeddings"] else "none",
        f"{found['caught']} of {found['runs']}",
        _interval(found["caught"], found["runs"]),
        f"{found['model_relevant']} of {found['caught']}",
        str(found["new_cluster"]) if found["embeddings"] else "–",
    ]
    return f"| {' | '.join(cells)} |"


def _interval(count: int, of: int) -> str:
    low, high = wilson(count, of)
    return f"{low:.0%}–{high:.0%}"


def _files(found: list[dict[str, Any]]) -> str:
    lines = [
        "**A new JPEG encoder**: what it is called after two windows.",
        "The effect is what quality 55 does to the calibrated logit.",
        "",
        "| photos recoded | effect on scores | runs | named |",
        "|---|---|---|---|",
    ]
    for each in found:
        named = ", ".join(f"`{cause}` {count}" for cause, count in each["causes"].items())
        lines.append(
            f"| {each['recoded']:.0%} | {each['effect']:+.1f} | {each['runs']} |"
            f" {named or 'nothing'} |"
        )
    return "\n".join(lines)


def _evaluation(found: dict[str, Any]) -> str:
    shares = found["found"]
    counts = " | ".join(str(each["suspicious"]) for each in shares)
    head = f"**The evaluation as a reference** of {found['photos']} photos"
    head += f" (effective size {found['independent']}), taken to hold {found['assumed']:.0%}"
    return "\n".join(
        [
            f"{head} AI-generated ones.",
            f"Windows of {found['window_photos']} photos drawn from it, by what they truly hold.",
            "",
            f"| AI-generated | {' | '.join(format(each['share'], '.0%') for each in shares)} |",
            f"|---|{'---|' * len(shares)}",
            f"| suspicious of {shares[0]['windows']} | {counts} |",
        ]
    )
