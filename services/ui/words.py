"""What the page says about verdicts and errors, in the words of its readers."""

from dataclasses import dataclass

from shared.contracts.errors import IMAGE_ERROR_HELP, ImageErrorCode
from shared.contracts.states import Basis, Label
from shared.contracts.wire.jobs import Verdict


@dataclass(frozen=True, slots=True)
class LabelWords:
    """A verdict for people: its name, a sign beside the colour, and what it means."""

    name: str
    sign: str
    meaning: str
    tone: str


WORDS: dict[Label, LabelWords] = {
    Label.REAL: LabelWords(
        "Real",
        "✓",
        "No trace of a generator that this model knows. Not a proof of authenticity.",
        "real",
    ),
    Label.AI_GENERATED: LabelWords(
        "AI-generated",
        "!",
        "Above the threshold that keeps false accusations of real photos rare.",
        "generated",
    ),
    Label.UNCERTAIN: LabelWords(
        "Uncertain",
        "?",
        "Between the two thresholds: let a person look at it.",
        "uncertain",
    ),
}

_KINDS = {
    "c2pa": "C2PA manifest",
    "digital_source_type": "IPTC digital source type",
    "aigc_label": "China's AIGC label",
    "generator_parameters": "Generator's parameters",
    "software": "Software",
    "camera": "Camera",
    "provenance": "Metadata",
    "conclusion": "What decided",
    "reencode": "Second look",
    "networks": "What was looked at",
}

# How far a statement of the file can be believed.
STRENGTHS = {
    "signed_trusted": "signed, and the signer is trusted",
    "signed": "signed, but anybody may be the signer",
    "declared": "plain metadata: anybody can write or remove it",
    "broken": "signed once, changed since",
    "unread": "could not be read",
}

HOW_TO_READ = """
**AI-generated**, **Real** and **Uncertain** are set by two thresholds that come with the model.
The upper one is chosen so that few real photos are called AI-generated.

The **bar** is the calibrated probability that a generator made the photo: of many photos that
show 90 %, about 90 in 100 are generated. Where the **file states** that a generator made it, that
decides, and what the pixels alone gave stands beside it.

A verdict is evidence, not proof. For an appeal, download a photo's evidence.
"""


def kind_words(kind: str) -> str:
    """Return what an entry of a verdict's evidence was read from."""
    return _KINDS.get(kind, kind.replace("_", " ").capitalize())


def percent(probability: float) -> str:
    """Return a probability for reading; never 0 % or 100 %, which would claim certainty."""
    if probability < 0.001:
        return "< 0.1 %"
    if probability > 0.999:
        return "> 99.9 %"
    decimals = 0 if 0.1 <= probability <= 0.9 else 1
    return f"{probability * 100:.{decimals}f} %"


def statement_words(verdict: Verdict) -> str | None:
    """Return what decided in place of the pixels, and what these gave; None when they decided."""
    if verdict.basis != Basis.STATEMENT:
        return None
    given = verdict.pixels_probability
    pixels = "" if given is None else f" The pixels alone gave {percent(given)}."
    return f"Decided by what the file states: a generator made the photo.{pixels}"


def what_to_do(error_code: str) -> str | None:
    """Return what a photo's error means and how to mend it; None for a code unknown here."""
    try:
        return IMAGE_ERROR_HELP[ImageErrorCode(error_code)]
    except ValueError:
        return None
