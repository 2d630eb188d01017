"""The few IPTC-IIM datasets that tell of a photo's origin (IIM 4.2; Photoshop resource 0x0404)."""

import struct

_IPTC_RESOURCE = 0x0404
_DATASETS = {65: "OriginatingProgram", 110: "Credit", 115: "Source"}
_MAX_DATASETS = 500


def read_iptc(photoshop: bytes) -> dict[str, str]:
    """Return dataset names and values from Photoshop's image resources; {} when malformed."""
    try:
        return _datasets(_resource(photoshop))
    except struct.error:
        return {}


def _resource(block: bytes) -> bytes:
    place = 0
    while block[place : place + 4] == b"8BIM":
        identifier, name_length = struct.unpack_from(">HB", block, place + 4)
        # Name and content are each padded to an even length.
        place += 6 + (name_length + 2) // 2 * 2
        (size,) = struct.unpack_from(">I", block, place)
        if identifier == _IPTC_RESOURCE:
            return block[place + 4 : place + 4 + size]
        place += 4 + (size + 1) // 2 * 2
    # ImageMagick's raw profile may be the datasets themselves.
    return block if block.startswith(b"\x1c\x02") else b""


def _datasets(content: bytes) -> dict[str, str]:
    values: dict[str, str] = {}
    place = 0
    for _ in range(_MAX_DATASETS):
        if content[place : place + 1] != b"\x1c":
            break
        record, dataset, size = struct.unpack_from(">BBH", content, place + 1)
        if size & 0x8000:  # an extended dataset: none of ours is that long
            break
        if record == 2 and dataset in _DATASETS:
            raw = content[place + 5 : place + 5 + size]
            values.setdefault(_DATASETS[dataset], raw.decode("utf-8", "replace"))
        place += 5 + size
    return values
