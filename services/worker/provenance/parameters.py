"""Generators' own blocks: prompts, seeds and workflows, in the fields that generators write.

A block tells which program the picture went through. Whether that made it, or only changed a photo,
is read from the block too: img2img, inpainting and enlarging leave such blocks as well.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from services.worker.provenance.comfy import comfy_says
from services.worker.provenance.findings import Finding, Kind, Says, Strength, shown

_WEBUI = "Fooocus or Stable Diffusion WebUI"
# The last line of the block: `Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: …`.
_LINE = re.compile(r"(?:^|\s)(Steps: \d+, [^\r\n]{0,8000})")
_KEY = re.compile(r"(?:^|, )([A-Z][\w ]{0,40}): ")
_MORE = frozenset({"CFG scale", "Distilled CFG Scale", "Seed", "Size", "Model", "Model hash"})
# Of these the first two are hires fix, which denoises what was generated a moment ago.
_SECOND_PASS = ("Hires", "First pass")
_EDIT_KEYS = frozenset(
    {
        "Mask blur",
        "Mask mode",
        "Masked content",
        "Masked area padding",
        "Inpaint area",
        "Inpainting fill",
        "Init image hash",
        "Init image size",
        "Image CFG scale",
        "Conditional mask weight",
    }
)
_EDIT_MODES = re.compile(r"\b(img2img|inpaint|outpaint)", re.IGNORECASE)
_DREAM_EDIT = re.compile(r" (-I|--init_img|-M|--init_mask)\b")
# Where the texts below may stand: anybody writes descriptions and comments.
_FIELDS = frozenset({"parameters", "usercomment", "comment", "make", "model"})
_HOW = {
    Says.AI_GENERATED: "",
    Says.AI_EDITED: ", which was given a picture to start from",
    Says.NOTHING: ", which do not tell what it started from",
}


@dataclass(frozen=True, slots=True)
class _Block:
    where: str
    name: str
    text: str
    generator: str
    says: Says


def parameter_findings(
    exif: Mapping[str, str], xmp: list[tuple[str, str]], texts: list[tuple[str, str]]
) -> list[Finding]:
    """Return one finding for each block; `xmp` are the picture's own properties.

    One block that tells of another picture speaks for all: programs copy blocks along.
    """
    sources = [
        *(("text", keyword, text) for keyword, text in texts),
        *(("exif", name, value) for name, value in exif.items()),
        *(("xmp", name, value) for name, value in xmp if name == "UserComment"),
    ]
    blocks = list(_without_workflow([*_blocks(sources)]))
    said = {block.says for block in blocks}
    weakest = next((s for s in (Says.AI_EDITED, Says.NOTHING) if s in said), None)
    return [_finding(replace(block, says=weakest) if weakest else block) for block in blocks]


def _blocks(sources: list[tuple[str, str, str]]) -> Iterator[_Block]:
    for where, name, text in sources:
        found = _read(name, text)
        if found is not None:
            yield _Block(where, name, text, *found)


def _without_workflow(blocks: list[_Block]) -> Iterator[_Block]:
    """Leave out the editor's form of a graph where the executed one stands beside it."""
    executed = any(block.generator == "ComfyUI" and _is_prompt(block) for block in blocks)
    for block in blocks:
        if not executed or block.generator != "ComfyUI" or _is_prompt(block):
            yield block


def _is_prompt(block: _Block) -> bool:
    return '"class_type"' in block.text


def _finding(block: _Block) -> Finding:
    field = shown(block.name, 40)
    detail = (
        f"{block.where.upper()} {field} holds parameters of {block.generator}{_HOW[block.says]}."
    )
    found = {
        "where": block.where,
        "field": field,
        "generator": block.generator,
        "value": shown(block.text),
    }
    return Finding(Kind.GENERATOR_PARAMETERS, block.says, Strength.DECLARED, detail, found)


def _read(name: str, text: str) -> tuple[str, Says] | None:
    """Return the generator and what its block says; None for any other text."""
    lower = name.lower()
    if lower in _KEYWORDS:
        generator, read = _KEYWORDS[lower]
        return generator, read(text)
    if lower in ("prompt", "workflow", "make", "model", "imagedescription", "usercomment"):
        says = comfy_says(text)
        if says is not None:
            return "ComfyUI", says
    if lower not in _FIELDS:
        return None
    return _of_json(lower, _object(text)) or _of_line(lower, text)


def _of_line(field: str, text: str) -> tuple[str, Says] | None:
    lines = _LINE.findall(text[-20_000:]) if field != "comment" else []
    if not lines:
        return None
    line = lines[-1]
    keys = set(_KEY.findall(line))
    if "Sampler" not in keys or not keys & _MORE:
        return None
    second_pass = any(key.startswith(_SECOND_PASS) for key in keys)
    denoised = "Denoising strength" in keys and not second_pass
    edited = denoised or keys & _EDIT_KEYS or _EDIT_MODES.search(line)
    return _WEBUI, Says.AI_EDITED if edited else Says.AI_GENERATED


def _of_json(field: str, data: dict[str, Any]) -> tuple[str, Says] | None:
    swarm = data.get("sui_image_params")
    if isinstance(swarm, dict):
        edited = any(key.startswith(("initimage", "maskimage")) for key in swarm)
        return "SwarmUI", _told(edited=edited, complete={"prompt", "seed"} <= swarm.keys())
    lower = {key.lower(): value for key, value in data.items()}
    if not {"sampler", "seed"} <= lower.keys() or not {"steps", "scale"} & lower.keys():
        return None
    if str(lower.get("version", "")).startswith("Fooocus"):
        return "Fooocus", Says.AI_GENERATED
    mode = str(lower.get("request_type", "PromptGenerateRequest"))
    strength = lower.get("strength", 1)
    partly = isinstance(strength, int | float) and strength < 1
    generator = "NovelAI" if field == "comment" else "Draw Things"
    return generator, _told(edited=partly or mode != "PromptGenerateRequest", complete=True)


def _invoke(text: str) -> Says:
    """InvokeAI 3 and later."""
    mode = str(_object(text).get("generation_mode", ""))
    return _told(edited=bool(_EDIT_MODES.search(mode)), complete=mode.endswith("txt2img"))


def _invoke_2(text: str) -> Says:
    image = _object(text).get("image")
    mode = str(image.get("type", "")) if isinstance(image, dict) else ""
    return _told(edited=bool(_EDIT_MODES.search(mode)), complete=mode == "txt2img")


def _dream(text: str) -> Says:
    """InvokeAI 1: the command line."""
    complete = bool(re.search(r" -s ?\d+", text) and re.search(r" -S ?\d+", text))
    return _told(edited=bool(_DREAM_EDIT.search(text)), complete=complete)


def _tensor_art(text: str) -> Says:
    data = _object(text)
    edited = any("image" in key.lower() and value for key, value in data.items())
    return _told(edited=edited, complete={"prompt", "seed", "steps"} <= data.keys())


def _told(*, edited: bool, complete: bool) -> Says:
    if edited:
        return Says.AI_EDITED
    return Says.AI_GENERATED if complete else Says.NOTHING


# Keywords of PNG texts that one program alone writes.
_KEYWORDS: dict[str, tuple[str, Callable[[str], Says]]] = {
    "invokeai_metadata": ("InvokeAI", _invoke),
    "sd-metadata": ("InvokeAI", _invoke_2),
    "dream": ("InvokeAI", _dream),
    "generation_data": ("TensorArt", _tensor_art),
}


def _object(text: str) -> dict[str, Any]:
    if not text.lstrip().startswith("{"):
        return {}
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
