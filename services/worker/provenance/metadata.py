"""Findings from plain, unsigned metadata. Anybody can write or remove it."""

from collections.abc import Iterator
from typing import Any

from services.worker.provenance.aigc import aigc_labels
from services.worker.provenance.containers import Blocks
from services.worker.provenance.exif import read_exif
from services.worker.provenance.findings import Finding, Kind, Says, Strength, shown
from services.worker.provenance.iptc import read_iptc
from services.worker.provenance.parameters import parameter_findings
from services.worker.provenance.vocabulary import generator_in, source_says, source_type
from services.worker.provenance.xmp import Xmp, read_xmp

MAX_FINDINGS = 12

_SAYS_TEXT = {
    Says.AI_GENERATED: "made by a trained generator",
    Says.AI_EDITED: "a photo with parts made by a trained generator",
    Says.CAMERA: "taken with a camera",
    Says.NOTHING: "of a kind that says nothing of generators",
}
_SOURCE_TYPES = ("DigitalSourceType", "DigitalSourcefileType")
_PROGRAMS = ("Software", "CreatorTool")
_NAMES = (
    *_PROGRAMS,
    "softwareAgent",
    "OriginatingProgram",
    "Credit",
    "Source",
    "Artist",
    "Comment",
)
# Texts beyond are no names.
_MAX_NAME = 1000


def metadata_findings(blocks: Blocks) -> list[Finding]:
    """Return what EXIF, XMP, IPTC-IIM and text chunks say, the weightiest first."""
    exif = read_exif(blocks.exif)
    xmp = Xmp()
    for packet in blocks.xmp:
        read = read_xmp(packet)
        xmp.own += read.own
        xmp.elsewhere += read.elsewhere
    parameters = parameter_findings(exif, xmp.own, blocks.texts)
    found = [
        *_source_types(xmp),
        *aigc_labels(exif, xmp.own, blocks.texts),
        *parameters,
        *_ai_system(xmp.own),
        *_software(exif, xmp, read_iptc(blocks.photoshop), blocks.texts),
    ]
    if not parameters:  # ComfyUI writes its workflow into EXIF's camera tags
        found += _camera(exif)
    found.sort(key=lambda finding: finding.says == Says.NOTHING)
    return found[:MAX_FINDINGS]


def _declared(kind: Kind, says: Says, detail: str, found: dict[str, Any]) -> Finding:
    return Finding(kind, says, Strength.DECLARED, detail, found)


def _source_types(xmp: Xmp) -> Iterator[Finding]:
    names = dict.fromkeys(source_type(value) for name, value in xmp.own if name in _SOURCE_TYPES)
    for name in names:
        says = source_says(name)
        detail = f"IPTC digital source type {shown(name, 60)}: {_SAYS_TEXT[says]}."
        yield _source_type(says, detail, name, "xmp")
    others = dict.fromkeys(
        source_type(value) for name, value in xmp.elsewhere if name in _SOURCE_TYPES
    )
    for name in others:
        detail = (
            f"XMP names the digital source type {shown(name, 60)} of an ingredient or an earlier"
            " step, not of the picture."
        )
        yield _source_type(Says.NOTHING, detail, name, "xmp, elsewhere")


def _source_type(says: Says, detail: str, name: str, where: str) -> Finding:
    found = {"where": where, "value": shown(name, 100)}
    return _declared(Kind.DIGITAL_SOURCE_TYPE, says, detail, found)


def _ai_system(xmp: list[tuple[str, str]]) -> Iterator[Finding]:
    """IPTC Photo Metadata 2025.1 names the system that made or edited the photo."""
    facts = {name: shown(value) for name, value in xmp if name.startswith("AI") and "." not in name}
    facts.pop("AIGC", None)
    if facts:
        system = facts.get("AISystemUsed", "an AI system")
        says = Says.AI_GENERATED if generator_in(system) else Says.NOTHING
        detail = f"IPTC metadata names {system} as the AI system used."
        yield _declared(Kind.SOFTWARE, says, detail, {"where": "xmp", **facts})


def _software(
    exif: dict[str, str], xmp: Xmp, iptc: dict[str, str], texts: list[tuple[str, str]]
) -> list[Finding]:
    """One finding for each different name of a program, or credit that names a generator."""
    sources = [
        *(("exif", name, value) for name, value in exif.items() if name in ("Software", "Artist")),
        *(("xmp", name, value) for name, value in xmp.own),
        *(("xmp, elsewhere", name, value) for name, value in xmp.elsewhere),
        *(("iptc", name, value) for name, value in iptc.items()),
        *(("text", name.title(), value) for name, value in texts),
    ]
    findings: dict[str, Finding] = {}
    for where, name, value in sources:
        if name not in _NAMES or len(value) > _MAX_NAME or value in findings:
            continue
        generator = generator_in(value)
        if generator or name in _PROGRAMS:
            findings[value] = _program(where, name, value, generator)
    return list(findings.values())


def _program(where: str, name: str, value: str, generator: str | None) -> Finding:
    found = {"where": where, "field": name, "value": shown(value)}
    place = where.partition(",")[0].upper()
    if generator is None:
        detail = f"{place} {name} names {shown(value, 60)}, no known generator."
        return _declared(Kind.SOFTWARE, Says.NOTHING, detail, found)
    found["generator"] = generator
    if where.endswith("elsewhere"):
        detail = f"{place} {name} of an ingredient or an earlier step names {generator}."
        return _declared(Kind.SOFTWARE, Says.NOTHING, detail, found)
    detail = f"{place} {name} names the image generator {generator}."
    return _declared(Kind.SOFTWARE, Says.AI_GENERATED, detail, found)


def _camera(exif: dict[str, str]) -> Iterator[Finding]:
    if "Make" not in exif or "Model" not in exif:
        return
    tags = ("Make", "Model", "LensModel", "ExposureTime", "DateTimeOriginal")
    facts = {tag: shown(exif[tag], 100) for tag in tags if tag in exif}
    detail = f"EXIF names the camera {facts['Make']} {facts['Model']}."
    yield _declared(Kind.CAMERA, Says.CAMERA, detail, {"where": "exif", **facts})
