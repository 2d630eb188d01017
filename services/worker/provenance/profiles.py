"""Metadata packed in another form than the container's own: raw profiles in PNG, extended XMP."""

import re
from collections.abc import Mapping

# "\nexif\n    1234\n" and 1234 bytes as hexadecimal digits in lines, as ImageMagick writes them.
_RAW = re.compile(r"\s*([\w ]{1,32})\s*\n\s*(\d{1,8})\s*\n([0-9a-fA-F\s]*)")
_PREFIX = "raw profile type "


def profile_name(keyword: str) -> str | None:
    """Return what a raw profile under this keyword of a PNG text holds, None for another text."""
    lower = keyword.lower()
    return lower.removeprefix(_PREFIX).strip() if lower.startswith(_PREFIX) else None


def raw_profile(text: str) -> bytes:
    """Return the bytes of a raw profile, b"" for a malformed one."""
    match = _RAW.match(text)
    if match is None:
        return b""
    digits = "".join(match.group(3).split())
    try:
        return bytes.fromhex(digits[: len(digits) // 2 * 2])[: int(match.group(2))]
    except ValueError:
        return b""


def joined(portions: Mapping[int, bytes], length: int) -> bytes:
    """Return extended XMP from its portions by offset, b"" while some are missing."""
    whole = b""
    for offset in sorted(portions):
        if offset != len(whole):
            return b""
        whole += portions[offset]
    return whole if len(whole) == length else b""
