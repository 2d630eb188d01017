"""Texts that come from a file, fit to be stored and shown: one place cleans and bounds them.

PostgreSQL takes no NUL, neither in `text` nor in `jsonb`, and UTF-8 has no lone surrogates: one
such character in a reader's message would fail the transaction of all that is written with it.
"""

import math
import unicodedata
from typing import Any

# A sentence and what it quotes.
MAX_DETAIL = 2000
MAX_DEPTH = 32

# Control characters, and surrogates.
_UNSTORABLE = frozenset({"Cc", "Cs"})
_KEPT = frozenset("\n\t")


def has_unstorable(text: str) -> bool:
    """Say whether `text` holds control characters or lone surrogates."""
    return not text.isprintable() and any(
        unicodedata.category(character) in _UNSTORABLE for character in text
    )


def storable(text: str, limit: int = MAX_DETAIL) -> str:
    """Return `text` fit for a text column and for people: cut, bad characters replaced."""
    return _clean(text[:limit])


def storable_json(value: Any, limit: int = MAX_DETAIL, depth: int = MAX_DEPTH) -> Any:
    """Return the JSON value `value` fit for a `jsonb` column.

    Strings are cut to `limit` characters and cleaned, keys too; line breaks and tabs stay. What
    JSON has no word for (NaN, infinities) becomes null, and so does what is nested too deep.
    """
    if isinstance(value, str):
        return _clean(value[:limit], _KEPT)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict | list | tuple) and depth <= 0:
        return None
    if isinstance(value, dict):
        return {
            _clean(str(key)[:limit], _KEPT): storable_json(item, limit, depth - 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [storable_json(item, limit, depth - 1) for item in value]
    return value


def _clean(text: str, kept: frozenset[str] = frozenset()) -> str:
    if text.isprintable():
        return text
    return "".join(
        "\ufffd"
        if character not in kept and unicodedata.category(character) in _UNSTORABLE
        else character
        for character in text
    )
