"""`detector images`: one photo's verdicts, reviews, heatmap and evidence bundle."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import typer

from services.cli.client import AsJson, AsJsonLines, gateway_client, request_of, write_parts
from services.cli.output import (
    LABEL_STYLE,
    LABEL_TEXT,
    basis_text,
    fail,
    new_app,
    print_models,
    print_table,
    say,
)
from services.cli.times import shown
from shared.contracts.states import Label

if TYPE_CHECKING:
    from shared.contracts.wire.images import ImageDetail, JudgedVerdict
    from shared.contracts.wire.jobs import Review

app = new_app("Look at photos, review their verdicts, download their evidence.")

ImageId = Annotated[UUID, typer.Argument(metavar="ID", help="The photo's id, from `jobs get`.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="File to write [standard output].")
]


@app.callback()
def _group() -> None:
    """Look at photos, review their verdicts, download their evidence."""


@app.command()
def get(image_id: ImageId, as_json: AsJson = False) -> None:
    """Print a photo with every verdict on it and the newest review."""
    with gateway_client() as client:
        image = client.images.get(image_id)
    if as_json:
        print_models(image)
    else:
        _print_image(image)


@app.command()
def feedback(
    image_id: ImageId,
    label: Annotated[
        Literal["real", "ai_generated"], typer.Option(help="What the photo is, to the reviewer.")
    ],
    reason: Annotated[str, typer.Option(help="Why; read in an appeal.")],
    reviewer: Annotated[str, typer.Option(help="Who decided, by a name or id of your own.")],
    as_json: AsJson = False,
) -> None:
    """Store a reviewer's label: it counts from now on, whatever the model said."""
    from shared.contracts.wire.images import FeedbackRequest

    request = request_of(FeedbackRequest, label=Label(label), reason=reason, reviewer=reviewer)
    with gateway_client() as client:
        stored = client.images.review(image_id, request)
    if as_json:
        print_models(stored)
        return
    overturned = ", against the verdict" if stored.overturns_verdict else ""
    told = "; verdict.changed was sent" if stored.changed_label else ""
    say(f"image {image_id}: {LABEL_TEXT[stored.label.value]}{overturned}{told}")


@app.command()
def reviews(image_id: ImageId, as_json: AsJsonLines = False) -> None:
    """List a photo's newest reviews, the newest first."""
    with gateway_client() as client:
        found = client.images.reviews(image_id)
    if as_json:
        print_models(*found)
        return
    print_table(["when", "label", "reviewer", "the model said", "reason"], map(_review_row, found))


@app.command()
def heatmap(
    image_id: ImageId,
    output: Output = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds that it may take to make.")] = 60,
) -> None:
    """Download the heatmap (PNG): where the photo speaks for its verdict.

    Exit code 1 when it is not made in time.
    """
    from shared.client.errors import HeatmapNotFinished

    with gateway_client() as client:
        try:
            image = client.images.heatmap(image_id, wait)
        except HeatmapNotFinished as error:
            fail(str(error), code=1)
    write_parts([image], output)


@app.command()
def bundle(
    image_id: ImageId,
    output: Output = None,
    wait: Annotated[
        float, typer.Option(min=0, max=30, help="Seconds that its heatmap may take to make.")
    ] = 10,
) -> None:
    """Download the evidence bundle (ZIP); `detector evidence verify` checks it, years later too."""
    with gateway_client() as client:
        content = client.images.evidence(image_id, wait)
    write_parts([content], output)


def _print_image(image: "ImageDetail") -> None:
    print_table(
        ["model", "when", "verdict", "P(AI)", "basis", "repeats"],
        [
            [
                (verdict.model_version, ""),
                (shown(verdict.created_at), "dim"),
                (LABEL_TEXT[verdict.label.value], LABEL_STYLE[verdict.label.value]),
                (f"{verdict.probability:.3f}", ""),
                (basis_text(verdict.basis, verdict.pixels_probability), "dim"),
                (str(verdict.reused_from or ""), "dim"),
            ]
            for verdict in image.verdicts
        ],
        right=["P(AI)"],
    )
    size = f", {image.width}×{image.height}" if image.width else ""
    say(f"image {image.id}: {image.filename}, {image.status.value}, {image.size} bytes{size}")
    say(f"job {image.job_id}" + (f", listing {image.listing_id}" if image.listing_id else ""))
    if image.sha256:
        say(f"SHA-256 {image.sha256}")
    if image.error:
        say(f"{image.error.code.value}: {image.error.detail}")
    for statement in _statements(image.verdict):
        say(statement)
    if image.review:
        review = image.review
        say(f"reviewed by {review.reviewer}: {LABEL_TEXT[review.label.value]} ({review.reason})")


def _statements(verdict: "JudgedVerdict | None") -> list[str]:
    """Return what the evidence says in words; measurements are in the JSON."""
    entries = verdict.evidence if verdict else []
    return [f"{entry['kind']}: {entry['says']}" for entry in entries if entry.get("says")]


def _review_row(review: "Review") -> list[tuple[str, str]]:
    said = review.model_label.value if review.model_label else ""
    return [
        (shown(review.created_at), "dim"),
        (LABEL_TEXT[review.label.value], LABEL_STYLE[review.label.value]),
        (review.reviewer, ""),
        (LABEL_TEXT.get(said, "–"), LABEL_STYLE.get(said, "dim")),
        (review.reason, ""),
    ]
