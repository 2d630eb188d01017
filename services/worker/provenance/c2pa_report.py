"""A validated C2PA manifest store to one finding: integrity and the signer's trust, apart.

The report is that of c2pa-rs (`Reader.json()`), status codes are those of the C2PA specification
2.2, section 15. The claims of the active manifest count, and those of its parents: what a photo
was made from (`inputTo`) or holds (`componentOf`) says nothing of the whole of it.
"""

import re
from collections.abc import Iterator
from typing import Any

from services.worker.provenance.findings import Finding, Kind, Says, Strength, shown
from services.worker.provenance.vocabulary import source_says, source_type

_LABEL = re.compile(r"/c2pa/([^/]+)")
_TRUSTED = "signingCredential.trusted"
# Timestamps prove when, not who or what.
_ASIDE = ("timeStamp.",)
_MAX_DEPTH = 32
# Assertions of metadata of the picture that the manifest is of.
_METADATA = ("c2pa.metadata", "cawg.metadata", "stds.iptc", "stds.exif", "stds.xmp")
_WHO = {
    "trusted": "a trusted signer",
    "untrusted": "a signer under none of the trust anchors",
    "invalid": "a signer with an unacceptable certificate",
}

Report = dict[str, Any]


def finding_of(report: Report) -> Finding:
    """Return the finding of a report; a report of another form raises KeyError or TypeError."""
    chain = list(_parents(report))
    active = report["manifests"][chain[0]]
    failures = sorted(
        {shown(str(code), 100) for label in chain for code in _failures(report, label)}
    )
    broken = [code for code in failures if not code.startswith("signingCredential.")]
    trust = _trust(report, chain)
    says, types = _claims(report, chain)
    facts = {
        "integrity": "broken" if broken else "intact",
        "signer": {"trust": trust, **_signer(active)},
        "digital_source_types": types,
        "generators": _generators(report, chain),
        "manifests": len(report["manifests"]),
        "failures": failures[:32],
    }
    return Finding(Kind.C2PA, says, _strength(broken, trust), _sentence(facts, says), facts)


def _strength(broken: list[str], trust: str) -> Strength:
    if broken:
        return Strength.BROKEN
    return Strength.SIGNED_TRUSTED if trust == "trusted" else Strength.SIGNED


def _parents(report: Report) -> Iterator[str]:
    """Yield the active manifest's label, then its parent's, and so on to the first."""
    label, seen = report["active_manifest"], set[str]()
    while label in report["manifests"] and label not in seen and len(seen) < _MAX_DEPTH:
        seen.add(label)
        yield label
        ingredients = report["manifests"][label].get("ingredients", [])
        parents = [each for each in ingredients if each.get("relationship") == "parentOf"]
        label = parents[0].get("active_manifest") if len(parents) == 1 else None


def _statuses(report: Report, label: str) -> Iterator[tuple[str, str]]:
    """Yield (`success` | `informational` | `failure`, code) that concern one manifest.

    Of an ingredient the active manifest's signer wrote down what validation gave; today's
    validation adds what is different now. A status that names no manifest counts for every one.
    """
    results = report["validation_results"]
    groups = [results["activeManifest"]] if label == report["active_manifest"] else []
    groups += [each["validationDeltas"] for each in results.get("ingredientDeltas") or []]
    if label != report["active_manifest"]:
        groups += list(_recorded(report, label))
    for group in groups:
        for outcome, statuses in group.items():
            for status in statuses:
                named = _LABEL.search(status.get("url") or "")
                if named is None or named.group(1) == label:
                    yield outcome, status["code"]


def _recorded(report: Report, label: str) -> Iterator[dict[str, Any]]:
    for manifest in report["manifests"].values():
        for ingredient in manifest.get("ingredients", []):
            if ingredient.get("active_manifest") == label:
                yield (ingredient.get("validation_results") or {}).get("activeManifest") or {}


def _failures(report: Report, label: str) -> list[str]:
    return [
        code
        for outcome, code in _statuses(report, label)
        if outcome == "failure" and not code.startswith(_ASIDE)
    ]


def _trust(report: Report, chain: list[str]) -> str:
    """Return the weakest trust of the chain: one unknown signer could have made all before it."""
    trust = "trusted"
    for label in chain:
        statuses = set(_statuses(report, label))
        credential = {code for code in _failures(report, label) if code.startswith("signingCred")}
        if credential - {"signingCredential.untrusted"}:
            return "invalid"
        if credential or ("success", _TRUSTED) not in statuses:
            trust = "untrusted"
    return trust


def _actions(report: Report, label: str) -> Iterator[dict[str, Any]]:
    for assertion in report["manifests"][label].get("assertions", []):
        if assertion["label"].startswith("c2pa.actions"):
            yield from assertion.get("data", {}).get("actions", [])


def _metadata_types(report: Report, label: str) -> Iterator[str]:
    """Yield the source types in metadata assertions: some vendors write them there alone."""
    for assertion in report["manifests"][label].get("assertions", []):
        data = assertion.get("data")
        if not assertion["label"].startswith(_METADATA) or not isinstance(data, dict):
            continue
        for key, value in data.items():
            if key.rpartition(":")[2] in ("DigitalSourceType", "digitalSourceType"):
                told = value.get("@id") if isinstance(value, dict) else value
                yield source_type(str(told or ""))


def _claims(report: Report, chain: list[str]) -> tuple[Says, list[str]]:
    """Return what the chain claims together, and its digital source types."""
    says: set[Says] = set()
    types: dict[str, None] = {}
    for label in chain:
        for action in _actions(report, label):
            name = source_type(str(action.get("digitalSourceType") or ""))
            if not name:
                continue
            types[shown(name, 100)] = None
            claim = source_says(name)
            if claim == Says.AI_GENERATED and action.get("action") != "c2pa.created":
                claim = Says.AI_EDITED
            says.add(claim)
        for name in _metadata_types(report, label):
            types[shown(name, 100)] = None
            says.add(source_says(name))
    order = (Says.AI_GENERATED, Says.AI_EDITED, Says.CAMERA)
    return next((each for each in order if each in says), Says.NOTHING), list(types)[:16]


def _generators(report: Report, chain: list[str]) -> list[str]:
    """Return the names of what made the photo, the latest first."""
    names: dict[str, None] = {}
    for label in chain:
        for action in _actions(report, label):
            agent = action.get("softwareAgent")
            name = agent.get("name") if isinstance(agent, dict) else agent
            if name:
                names[shown(str(name), 100)] = None
        manifest = report["manifests"][label]
        for info in manifest.get("claim_generator_info") or []:
            names[shown(str(info.get("name", "")), 100)] = None
    return [name for name in names if name][:16]


def _signer(manifest: dict[str, Any]) -> dict[str, Any]:
    info = manifest.get("signature_info") or {}
    fields = ("issuer", "common_name", "alg", "cert_serial_number", "time")
    return {name: shown(str(info[name]), 200) for name in fields if info.get(name)}


def _sentence(facts: dict[str, Any], says: Says) -> str:
    signer = facts["signer"]
    who = f"{signer.get('issuer', 'an unnamed signer')} ({_WHO[signer['trust']]})"
    claim = {
        Says.AI_GENERATED: "that the image was made by a trained generator",
        Says.AI_EDITED: "that parts of the image were made by a trained generator",
        Says.CAMERA: "that the image was taken with a camera",
        Says.NOTHING: "nothing about generators",
    }[says]
    if facts["integrity"] == "broken":
        return f"A C2PA manifest of {who} states {claim}, but file and manifest do not match."
    return f"An intact C2PA manifest of {who} states {claim}."
