"""The few XMP properties that tell of a photo's origin, and whose they are.

A property of the picture is a child or an attribute of the `rdf:Description` elements right below
`rdf:RDF`. The same words stand in ingredients, history entries and regions too: they tell of
something else.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

# Local names; writers mix namespaces up, and these mean the same in each.
PROPERTIES = frozenset(
    {
        "DigitalSourceType",
        "DigitalSourcefileType",
        "AIGC",
        "UserComment",
        "HasExtendedXMP",
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

# Where an element stands: () right in the picture's description, ("P",) in its property P,
# ("P", "field") in a structure there; None before `rdf:RDF`. No local name has a colon.
_Place = tuple[str, ...] | None
_ROOT: _Place = ("rdf:RDF",)
_OTHER: _Place = ("rdf:other",)


@dataclass(slots=True)
class Xmp:
    """(property, value) pairs in document order; `AIGC.Label` is a field of the structure AIGC."""

    own: list[tuple[str, str]] = field(default_factory=list)
    # Those of ingredients, history entries, other resources, and of packets without structure.
    elsewhere: list[tuple[str, str]] = field(default_factory=list)


class _Refused(Exception):
    """A document type declaration: XMP has none, an entity bomb does."""


def read_xmp(packet: bytes) -> Xmp:
    """Return the properties above of one packet.

    Of a packet that is not well-formed XML what stands before the fault counts; a digital source
    type behind it is found, but nobody's: `elsewhere`.
    """
    packet = packet.strip(b"\x00 \t\r\n")
    # Some writers declare another prefix than they use. Then the prefixes themselves count.
    for split, separator in ((_by_namespace, " "), (_by_prefix, None)):
        walk = _Walk(split)
        try:
            walk.parse(packet, separator)
        except (expat.ExpatError, _Refused, ValueError):
            continue
        return walk.found
    known = {value.rpartition("/")[2] for _, value in walk.found.own}
    for match in _SOURCE_TYPE.findall(packet):
        if match.decode() not in known:
            walk.add(walk.found.elsewhere, "DigitalSourceType", match.decode())
    return walk.found


def _by_namespace(name: str) -> tuple[bool, str]:
    space, _, local = name.rpartition(" ")
    return space == _RDF, local


def _by_prefix(name: str) -> tuple[bool, str]:
    prefix, _, local = name.rpartition(":")
    return prefix == "rdf", local


class _Walk:
    """One pass over a packet. `split` tells (whether it is RDF's, local name) of a name."""

    def __init__(self, split: Callable[[str], tuple[bool, str]]) -> None:
        self.found = Xmp()
        self._split = split
        self._places: list[_Place] = []
        self._texts: list[list[str]] = []
        self._about: str | None = None

    def parse(self, packet: bytes, separator: str | None) -> None:
        """Read `packet`; raises expat.ExpatError, ValueError or _Refused.

        `separator` stands between namespace and name; None leaves prefixes as they are.
        """
        parser = expat.ParserCreate(namespace_separator=separator)
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = _refuse
        parser.Parse(packet, True)

    def add(self, values: list[tuple[str, str]], name: str, value: str) -> None:
        """Keep a pair, up to the limit and each once."""
        pair = (name, value.strip())
        if pair[1] and pair not in values and len(values) < _MAX_VALUES:
            values.append(pair)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        is_rdf, local = self._split(name)
        place = self._place(is_rdf, local, attributes)
        self._places.append(place)
        self._texts.append([])
        for key, value in attributes.items():
            rdf_attribute, attribute = self._split(key)
            if rdf_attribute:
                if attribute == "resource":
                    self._keep(place, value)
            elif place is not None:
                self._keep((*place, attribute), value)

    def _place(self, is_rdf: bool, local: str, attributes: Mapping[str, str]) -> _Place:
        parent = self._places[-1] if self._places else None
        if parent is None:
            return _ROOT if is_rdf and local == "RDF" else None
        if parent == _ROOT:
            own = is_rdf and local == "Description" and self._is_own(attributes)
            return () if own else _OTHER
        if is_rdf:  # lists, values and nested descriptions belong to the property around them
            return parent or _OTHER
        return (*parent, local)

    def _is_own(self, attributes: Mapping[str, str]) -> bool:
        """Say whether a description is of the picture: all that are name the same resource."""
        names = [value for key, value in attributes.items() if self._split(key) == (True, "about")]
        about = names[0] if names else ""
        if self._about is None:
            self._about = about
        return about in ("", self._about)

    def _end(self, _name: str) -> None:
        self._keep(self._places.pop(), "".join(self._texts.pop()))

    def _text(self, text: str) -> None:
        if self._texts:
            self._texts[-1].append(text)

    def _keep(self, place: _Place, value: str) -> None:
        if not place:
            return
        if len(place) == 1 and place[0] in PROPERTIES:
            self.add(self.found.own, place[0], value)
        elif place == ("AIGC", "Label"):
            self.add(self.found.own, "AIGC.Label", value)
        elif place[-1] in PROPERTIES:
            self.add(self.found.elsewhere, place[-1], value)


def _refuse(*_: object) -> None:
    raise _Refused
