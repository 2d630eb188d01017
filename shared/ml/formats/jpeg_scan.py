"""Where a JPEG's compressed pixels end, and whether parts of them are missing.

libjpeg fills what is missing with grey and only warns; Pillow keeps the warnings to itself. What
can be seen from outside: where the last scan ends, whether every bit of every coefficient was sent,
whether restart markers are missing. Whether the pixels' own data are enough the decoder tells
when it is given no end marker (`jpeg_file`).
"""

import re
import struct
from dataclasses import dataclass, field

from shared.ml.errors import UnreadableImage

# The most that encoders write is some dozen; each costs a pass over all pixels.
MAX_SCANS = 100
# Segments of a whole file.
MAX_SEGMENTS = 5000

# A marker within compressed data: not a stuffed FF, not a restart, not fill.
_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
_FILL = re.compile(rb"\xff+")
_RESTARTS = re.compile(rb"\xff([\xd0-\xd7])")
_SOS, _EOI, _DRI, _DNL = 0xDA, 0xD9, 0xDD, 0xDC
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(slots=True)
class JpegScans:
    """What a JPEG's markers say of its compressed pixels.

    Attributes:
        end: offset behind the last compressed byte; an end marker or something else follows.
        ended: whether an end marker follows.
        scans: how many there are.
        restarts_in_order: whether no restart marker is missing in the midst of others.
    """

    end: int = 0
    ended: bool = False
    scans: int = 0
    restarts_in_order: bool = True
    progressive: bool = False
    components: int = 0
    # Component and coefficient -> its lowest bit that was sent.
    _sent: dict[tuple[int, int], int] = field(default_factory=dict)

    @property
    def single(self) -> bool:
        """Say whether all pixels are in one scan, which the decoder reads as it comes."""
        return self.scans == 1 and not self.progressive

    @property
    def complete(self) -> bool:
        """Say whether every bit of every coefficient is in some scan."""
        wanted = self.components * (64 if self.progressive else 1)
        return len(self._sent) >= wanted and not any(self._sent.values())

    def add(self, header: bytes) -> None:
        """Note the header of a scan: its components, coefficients and bits."""
        count = header[0]
        first, last, bits = header[1 + 2 * count : 4 + 2 * count]
        self.scans += 1
        if self.scans > MAX_SCANS:
            raise UnreadableImage("unreadable_image", f"the JPEG has more than {MAX_SCANS} scans")
        band = range(first, min(last, 63) + 1) if self.progressive else range(1)
        low = bits & 15 if self.progressive else 0
        for component in header[1 : 1 + 2 * count : 2]:
            for coefficient in band:
                self._sent[component, coefficient] = low


def jpeg_scans(data: bytes) -> JpegScans:
    """Walk a JPEG's markers to the end of its last scan.

    Raises UnreadableImage for a file of more segments or scans than any encoder writes.
    """
    found = JpegScans()
    place, interval = 2, 0
    for _ in range(MAX_SEGMENTS):
        fill = _FILL.match(data, place)
        if fill is None or fill.end() >= len(data):
            return found
        marker, place = data[fill.end()], fill.end() + 1
        if marker == _EOI:
            found.ended = found.scans > 0
            return found
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue
        body = data[place + 2 : place + _length(data, place)]
        place += _length(data, place)
        if marker in _FRAMES and len(body) > 5:
            found.components, found.progressive = body[5], marker in (0xC2, 0xC6, 0xCA, 0xCE)
        elif marker == _DRI and len(body) >= 2:
            (interval,) = struct.unpack_from(">H", body)
        elif marker == _SOS:
            if len(body) < 4 or len(body) < 4 + 2 * body[0]:
                return found
            found.add(body)
            place = _scan(data, place, interval, found)
    raise UnreadableImage("unreadable_image", f"the JPEG has more than {MAX_SEGMENTS} segments")


def _length(data: bytes, place: int) -> int:
    return max(2, int.from_bytes(data[place : place + 2], "big"))


def _scan(data: bytes, place: int, interval: int, found: JpegScans) -> int:
    """Note a scan's compressed data, and return the place of the marker behind it."""
    marker = _MARKER.search(data, place)
    while marker is not None and marker.group(1)[0] == _DNL:
        marker = _MARKER.search(data, marker.end())
    found.end = len(data) if marker is None else marker.start()
    if interval:
        restarts = b"".join(_RESTARTS.findall(data[place : found.end]))
        whole = bytes(range(0xD0, 0xD8)) * (len(restarts) // 8 + 1)
        if restarts != whole[: len(restarts)]:
            found.restarts_in_order = False
    return found.end
