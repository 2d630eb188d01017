"""File names as clients send them: fit to be shown, never used as a key or a path."""

import re
import unicodedata

MAX_LENGTH = 255
UNNAMED = "unnamed"


def display_name(raw: str) -> str:
    """Return the last component of `raw` without control or format characters.

    At most 255 characters, the extension kept. Browsers and scripts send whole paths, of Windows
    as well; format characters could show a name backwards (U+202E).
    """
    base = re.split(r"[/\\]", raw)[-1]
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
