"""ComfyUI's graphs: whether the picture that they ended with started from noise.

A graph is written into every picture that passed through it, one whose background was removed or
that was enlarged no less than a generated one. So the pictures' way is followed back from the nodes
that save: only through a sampler, and to empty latents alone, it is a generated picture.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.worker.provenance.findings import Says

_MAX_NODES = 2000
_SAVES = re.compile(r"save|output", re.IGNORECASE)
_SHOWS = re.compile(r"preview", re.IGNORECASE)
_EMPTY = re.compile(r"empty.*latent|efficient loader|eff\. loader", re.IGNORECASE)
_PHOTO = re.compile(r"load.*(image|video)|image.*load|(image|photo).*input|webcam", re.IGNORECASE)
_SAMPLES = re.compile(r"sampler", re.IGNORECASE)
# Nodes that hand a picture to the sampler beside the latents: what comes out is an edit of it.
_EDITS = re.compile(
    r"inpaint|outpaint|reference ?latent|image ?edit|kontext|pix2pix", re.IGNORECASE
)
# Inputs on which no picture travels; all others may carry one.
_ASIDE = re.compile(
    r"(optional_)?(model|clip|vae|text|prompt|seed|noise|sampler|scheduler|filename|lora|cnet).*"
    r"|positive.*|negative.*|conditioning.*|guid.*|sigmas|.*_model|control_?net.*|script|path"
    r"|width|height|batch_size|steps|cfg|denoise|(scale|upscale)_by|start_at_step|end_at_step"
)
# Of a workflow's typed inputs.
_PICTURES = frozenset({"IMAGE", "LATENT", "*"})
_MUTED, _BYPASSED = 2, 4


@dataclass(frozen=True, slots=True)
class _Node:
    kind: str
    # Nodes that pictures come from, and those that anything comes from.
    pictures: tuple[str, ...]
    sources: tuple[str, ...]


def comfy_says(text: str) -> Says | None:
    """Return what a graph says of the picture, None when `text` is no graph.

    `ai_generated`: it started from noise; `ai_edited`: from another picture; `nothing`: who knows.
    """
    body = re.sub(r"^(prompt|workflow):", "", text, flags=re.IGNORECASE).strip()
    if not body.startswith("{"):
        return None
    try:
        graph = json.loads(body)
    except (ValueError, RecursionError):  # cut off, perhaps
        return Says.NOTHING if '"class_type"' in body else None
    if not isinstance(graph, dict):
        return None
    if isinstance(graph.get("nodes"), list) and "links" in graph:
        return _says(_workflow(graph))
    if any(isinstance(node, dict) and "class_type" in node for node in graph.values()):
        return _says(_prompt(graph))
    return None


def _prompt(graph: Mapping[str, Any]) -> dict[str, _Node]:
    """Return the nodes of what was executed: `{id: {class_type, inputs: {name: [id, slot]}}}`."""
    nodes = {}
    for identifier, node in list(graph.items())[:_MAX_NODES]:
        if not isinstance(node, dict):
            continue
        inputs = node.get("inputs")
        links = {
            str(name): str(value[0])
            for name, value in (inputs.items() if isinstance(inputs, dict) else ())
            if isinstance(value, list) and len(value) == 2
        }
        pictures = tuple(source for name, source in links.items() if not _ASIDE.fullmatch(name))
        kind = str(node.get("class_type", ""))
        nodes[identifier] = _Node(kind, pictures, tuple(links.values()))
    return nodes


def _workflow(graph: Mapping[str, Any]) -> dict[str, _Node]:
    """Return the nodes of the editor's form: inputs name links, links their nodes."""
    links = [each for each in _list(graph["links"]) if len(_list(each)) > 2]
    origin = {each[0]: str(each[1]) for each in links if isinstance(each[0], int)}
    nodes = {}
    for node in graph["nodes"][:_MAX_NODES]:
        if not isinstance(node, dict) or node.get("mode") == _MUTED:
            continue
        wired = [
            (each.get("type"), origin[each["link"]])
            for each in _list(node.get("inputs"))
            if isinstance(each, dict) and isinstance(each.get("link"), int)
            if each["link"] in origin
        ]
        pictures = tuple(source for kind, source in wired if kind in _PICTURES)
        # A bypassed node hands on what it gets.
        kind = "bypassed" if node.get("mode") == _BYPASSED else str(node.get("type", ""))
        nodes[str(node.get("id"))] = _Node(kind, pictures, tuple(source for _, source in wired))
    return nodes


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _says(nodes: Mapping[str, _Node]) -> Says:
    """Return what the graph says; with several that save, each must have started from noise."""
    ends = [name for name, node in nodes.items() if node.pictures and _SAVES.search(node.kind)]
    ends = ends or [n for n, node in nodes.items() if node.pictures and _SHOWS.search(node.kind)]
    found = {_start(nodes, end) for end in ends} or {Says.NOTHING}
    order = (Says.AI_EDITED, Says.NOTHING, Says.AI_GENERATED)
    return next(each for each in order if each in found)


def _start(nodes: Mapping[str, _Node], end: str) -> Says:
    behind = list(_behind(nodes, end, anything=False))
    kinds = {nodes[name].kind for name in _behind(nodes, end, anything=True)}
    leaves = {nodes[name].kind for name in behind if not nodes[name].pictures}
    sampled = any(_SAMPLES.search(nodes[name].kind) for name in behind)
    if any(_PHOTO.search(kind) for kind in leaves) or any(_EDITS.search(kind) for kind in kinds):
        return Says.AI_EDITED
    if sampled and leaves and all(_EMPTY.search(kind) for kind in leaves):
        return Says.AI_GENERATED
    return Says.NOTHING


def _behind(nodes: Mapping[str, _Node], end: str, *, anything: bool) -> Iterator[str]:
    """Yield `end` and the nodes behind it, each once; a node that is missing ends the way."""
    waiting, seen = [end], {end}
    while waiting:
        name = waiting.pop()
        if name not in nodes:
            continue
        yield name
        for source in nodes[name].sources if anything else nodes[name].pictures:
            if source not in seen:
                seen.add(source)
                waiting.append(source)
