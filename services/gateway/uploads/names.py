"""File names as clients send them: fit to be shown, never used as a key or a path."""

import re
import unicodedata
from email.errors import HeaderParseError
from email.header import decode_header, make_header

MAX_LENGTH = 255
UNNAMED = "unnamed"

_ENCODED = re.compile(r"(=\?[\w-]{1,40}\?[bBqQ]\?[^?\s]*\?=\s*)+")


def _decoded(raw: str) -> str:
    """Return the name in words of RFC 2047 (`=?utf-8?B?…?=`), as .NET sends it, decoded."""
    if not _ENCODED.fullmatch(raw.strip()):
        return raw
    try:
        return str(make_header(decode_header(raw.strip())))
    except (ValueError, LookupError, HeaderParseError):
        return raw


def display_name(raw: str) -> str:
    """Return the last component of `raw` without control or format characters.

    At most 255 characters, the extension kept. Browsers and scripts send whole paths, of Windows
    as well; format characters could show a name backwards (U+202E).
    """
    base = re.split(r"[/\\]", _decoded(raw))[-1]
    kept = "".join(c for c in base if unicodedata.category(c)[0] != "C")
    name = " ".join(kept.split())
    if not name or set(name) == {"."}:
        return UNNAMED
    if len(name) <= MAX_LENGTH:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension) > 16:
        return name[:MAX_LENGTH]
    return f"{stem[: MAX_LENGTH - len(extension) - 1]}.{extension}"
