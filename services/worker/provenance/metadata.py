"""Findings from plain, unsigned metadata. Anybody can write or remove it."""

import json
import re
from collections.abc import Iterator
from typing import Any

from services.worker.provenance.containers import Blocks
from services.worker.provenance.exif import read_exif
from services.worker.provenance.findings import Finding, Kind, Says, Strength, shown
from services.worker.provenance.iptc import read_iptc
from services.worker.provenance.vocabulary import generator_in, source_says, source_type
from services.worker.provenance.xmp import read_xmp

MAX_FINDINGS = 12

_SAYS_TEXT = {
    Says.AI_GENERATED: "made by a trained generator",
    Says.AI_EDITED: "a photo with parts made by a trained generator",
    Says.CAMERA: "taken with a camera",
    Says.NOTHING: "of a kind that says nothing of generators",
}
# What the popular front ends write into a text chunk or a comment.
_A1111 = re.compile(r"\bSteps: \d+.{0,400}\b(Sampler|CFG scale|Seed): ", re.DOTALL)
_KEYWORDS = {
    "invokeai_metadata": "InvokeAI",
    "invokeai_graph": "InvokeAI",
    "sd-metadata": "InvokeAI",
    "dream": "InvokeAI",
    "fooocus_scheme": "Fooocus",
    "generation_data": "TensorArt",
}
_CREDITS = ("Software", "CreatorTool", "softwareAgent", "OriginatingProgram", "Credit", "Source")


def metadata_findings(blocks: Blocks) -> list[Finding]:
    """Return what EXIF, XMP, IPTC-IIM and text chunks say, the weightiest first."""
    exif = read_exif(blocks.exif)
    xmp = [pair for packet in blocks.xmp for pair in read_xmp(packet)]
    software = _software(exif, xmp, read_iptc(blocks.photoshop), blocks.texts)
    parameters = list(_parameters(exif, blocks.texts))
    found = [*_source_types(xmp), *parameters, *_ai_system(xmp), *software]
    if not parameters:  # ComfyUI writes its workflow into EXIF's camera tags
        found += _camera(exif)
    found.sort(key=lambda finding: finding.says == Says.NOTHING)
    return found[:MAX_FINDINGS]


def _declared(kind: Kind, says: Says, detail: str, found: dict[str, Any]) -> Finding:
    return Finding(kind, says, Strength.DECLARED, detail, found)


def _source_types(xmp: list[tuple[str, str]]) -> Iterator[Finding]:
    names = dict.fromkeys(
        source_type(value)
        for name, value in xmp
        if name in ("DigitalSourceType", "DigitalSourcefileType")
    )
    for name in names:
        says = source_says(name)
        detail = f"IPTC digital source type {shown(name, 60)}: {_SAYS_TEXT[says]}."
        yield _declared(
            Kind.DIGITAL_SOURCE_TYPE, says, detail, {"where": "xmp", "value": shown(name, 100)}
        )


def _ai_system(xmp: list[tuple[str, str]]) -> Iterator[Finding]:
    """IPTC Photo Metadata 2025.1 names the system that made or edited the photo."""
    facts = {name: shown(value) for name, value in xmp if name.startswith("AI")}
    if facts:
        system = facts.get("AISystemUsed", "an AI system")
        detail = f"IPTC metadata names {system} as the AI system used."
        yield _declared(Kind.SOFTWARE, Says.AI_GENERATED, detail, {"where": "xmp", **facts})


def _software(
    exif: dict[str, str],
    xmp: list[tuple[str, str]],
    iptc: dict[str, str],
    texts: list[tuple[str, str]],
) -> list[Finding]:
    """One finding for each different name of a program, or credit that names a generator."""
    sources = [
        *(("exif", name, value) for name, value in exif.items() if name in ("Software", "Artist")),
        *(("xmp", name, value) for name, value in xmp),
        *(("iptc", name, value) for name, value in iptc.items()),
        *(("text", name.title(), value) for name, value in texts if len(value) <= 1000),
    ]
    findings: dict[str, Finding] = {}
    for where, name, value in sources:
        generator = generator_in(value) if name in (*_CREDITS, "Artist", "Comment") else None
        names_program = name in ("Software", "CreatorTool")
        if (generator or names_program) and value not in findings:
            findings[value] = _program(where, name, value, generator)
    return list(findings.values())


def _program(where: str, name: str, value: str, generator: str | None) -> Finding:
    found = {"where": where, "field": name, "value": shown(value)}
    if generator is None:
        detail = f"{where.upper()} {name} names {shown(value, 60)}, no known generator."
        return _declared(Kind.SOFTWARE, Says.NOTHING, detail, found)
    detail = f"{where.upper()} {name} names the image generator {generator}."
    return _declared(Kind.SOFTWARE, Says.AI_GENERATED, detail, {**found, "generator": generator})


def _parameters(exif: dict[str, str], texts: list[tuple[str, str]]) -> Iterator[Finding]:
    """Prompts, seeds and workflows: a generator leaves them, nothing else writes them."""
    sources = [
        *(("text", keyword, text) for keyword, text in texts),
        *(("exif", name, value) for name, value in exif.items()),
    ]
    for where, name, text in sources:
        if generator := _written_by(name, text):
            detail = f"{where.upper()} {shown(name, 40)} holds generation parameters: {generator}."
            found = {"where": where, "field": shown(name, 40), "generator": generator}
            yield _declared(
                Kind.GENERATOR_PARAMETERS,
                Says.AI_GENERATED,
                detail,
                {**found, "value": shown(text)},
            )


def _written_by(name: str, text: str) -> str | None:
    if _A1111.search(text[:20_000]):
        return "Fooocus or Stable Diffusion WebUI"
    if '"sui_image_params"' in text[:2000]:
        return "SwarmUI"
    if generator := _KEYWORDS.get(name.lower()):
        return generator
    if name in ("prompt", "workflow", "Make", "Model", "ImageDescription", "UserComment"):
        return "ComfyUI" if _is_comfy(text) else None
    return "NovelAI" if name == "Comment" and '"sampler"' in text and '"seed"' in text else None


def _is_comfy(text: str) -> bool:
    """Say whether the text is a ComfyUI graph: nodes with a `class_type`, or a workflow."""
    body = re.sub(r"^(prompt|workflow):", "", text, flags=re.IGNORECASE).strip()
    if not body.startswith("{"):
        return False
    try:
        graph = json.loads(body)
    except (ValueError, RecursionError):
        return '"class_type"' in body
    nodes = graph.values() if isinstance(graph, dict) else ()
    is_prompt = any(isinstance(node, dict) and "class_type" in node for node in nodes)
    return is_prompt or ("nodes" in graph and "links" in graph)


def _camera(exif: dict[str, str]) -> Iterator[Finding]:
    if "Make" not in exif or "Model" not in exif:
        return
    tags = ("Make", "Model", "LensModel", "ExposureTime", "DateTimeOriginal")
    facts = {tag: shown(exif[tag], 100) for tag in tags if tag in exif}
    detail = f"EXIF names the camera {facts['Make']} {facts['Model']}."
    yield _declared(Kind.CAMERA, Says.CAMERA, detail, {"where": "exif", **facts})
