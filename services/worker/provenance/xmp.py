"""The few XMP properties that tell of a photo's origin."""

import re
from xml.parsers import expat

# Local names; writers mix namespaces up, and these mean the same in each.
PROPERTIES = frozenset(
    {
        "DigitalSourceType",
        "DigitalSourcefileType",
        "CreatorTool",
        "Software",
        "softwareAgent",
        "Credit",
        "Source",
        "AISystemUsed",
        "AISystemVersionUsed",
        "AIPromptInformation",
    }
)
_MAX_VALUES = 32
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_SOURCE_TYPE = re.compile(rb"digitalsourcetype/(\w{1,64})", re.IGNORECASE)


class _Refused(Exception):
    """A document type declaration: XMP has none, an entity bomb does."""


def read_xmp(packet: bytes) -> list[tuple[str, str]]:
    """Return (property, value) of the properties above, in document order.

    Of a packet that is not well-formed XML the digital source type is still found.
    """
    values: list[tuple[str, str]] = []
    try:
        _parse(packet.strip(b"\x00 \t\r\n"), values)
    except (expat.ExpatError, _Refused, ValueError):
        found = [("DigitalSourceType", match.decode()) for match in _SOURCE_TYPE.findall(packet)]
        values.extend(pair for pair in found if pair not in values)
    return values[:_MAX_VALUES]


def _parse(packet: bytes, values: list[tuple[str, str]]) -> None:
    # The separator cannot occur in a name.
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    # The nearest property around the text, and the text since its start.
    path: list[str] = []

    def add(name: str, value: str) -> None:
        if name in PROPERTIES and value.strip() and len(values) < _MAX_VALUES:
            values.append((name, value.strip()))

    def start(name: str, attributes: dict[str, str]) -> None:
        space, _, local = name.rpartition(" ")
        # Lists (rdf:Seq, rdf:li) belong to the property around them.
        path.append(path[-1] if space == _RDF and path else local)
        for key, value in attributes.items():
            attribute = key.rpartition(" ")[2]
            add(path[-1] if attribute == "resource" else attribute, value)

    def refuse(*_: object) -> None:
        raise _Refused

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _name: path.pop()
    parser.CharacterDataHandler = lambda text: add(path[-1], text)
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(packet, True)
