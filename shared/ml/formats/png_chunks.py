"""A PNG without the chunks that have nothing to do with its pixels.

Pillow unpacks texts and colour profiles on opening, and refuses the whole photo for one of over
1 MB, which editors do write. It also handles each chunk in Python, however many there are.
"""

import struct

from shared.ml.errors import UnreadableImage

# Chunks besides those with pixels, and those with pixels; encoders write some dozen, some thousand.
MAX_CHUNKS = 20_000
MAX_PIXEL_CHUNKS = 200_000

_DROPPED = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"caBX", b"sPLT"})


def without_texts(data: bytes) -> bytes:
    """Return the PNG `data` without texts and profiles; what is malformed stays as it is.

    Raises UnreadableImage for more chunks than any encoder writes.
    """
    kept: list[bytes] = []
    place = start = 8
    others = pixels = 0
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if kind == b"IDAT":
            pixels += 1
        else:
            others += 1
        if others > MAX_CHUNKS or pixels > MAX_PIXEL_CHUNKS:
            raise UnreadableImage("unreadable_image", "the PNG has too many chunks")
        if kind in _DROPPED and end <= len(data):
            kept.append(data[start:place])
            start = end
        place = end
        if kind == b"IEND":
            break
    if not kept:
        return data
    return b"".join([data[:8], *kept, data[start:]])
