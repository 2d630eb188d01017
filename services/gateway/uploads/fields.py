"""The text fields of `POST /jobs`: checked so that PostgreSQL can store whatever passes."""

import json
from typing import Any, NoReturn

from shared.core.texts import has_unstorable
from shared.net import FetchError, Guard

MAX_TEXT = 200
MAX_METADATA_BYTES = 16 * 1024
MAX_METADATA_DEPTH = 16


class InvalidField(ValueError):
    """The value of one field cannot be taken; the message says why, to the caller."""

    def __init__(self, message: str, code: str = "invalid_value") -> None:
        super().__init__(message)
        self.code = code


def parse_text(raw: str) -> str | None:
    """Return the trimmed text, None when empty. Raises InvalidField."""
    value = raw.strip()
    if len(value) > MAX_TEXT:
        raise InvalidField(f"at most {MAX_TEXT} characters")
    if has_unstorable(value):
        raise InvalidField("control characters are not allowed")
    return value or None


def parse_receiver(raw: str, guard: Guard) -> str | None:
    """Return the trimmed URL of a webhook receiver, None when empty. Raises InvalidField.

    An address, port or local name that may not be reached is refused at once. What other names
    lead to is decided at every delivery: they change their addresses.
    """
    url = raw.strip()
    if not url:
        return None
    try:
        guard.parse(url)
    except FetchError as error:
        raise InvalidField(error.detail, error.code.value) from error
    return url


def parse_metadata(raw: str) -> dict[str, Any]:
    """Return the JSON object in `raw`. Raises InvalidField.

    Refused is what `jsonb` cannot hold: NUL, lone surrogates, NaN and infinities.
    """
    if len(raw.encode("utf-8", "surrogatepass")) > MAX_METADATA_BYTES:
        raise InvalidField(f"at most {MAX_METADATA_BYTES} bytes")
    value = parse_json(raw, MAX_METADATA_DEPTH)
    if not isinstance(value, dict):
        raise InvalidField("must be a JSON object")
    return value


def parse_json(raw: str, max_depth: int) -> Any:
    """Return the JSON value in `raw`. Raises InvalidField.

    Refused is what `jsonb` cannot hold, and nesting beyond `max_depth` levels.
    """
    try:
        value = json.loads(raw, parse_constant=_refuse_constant, parse_float=_finite)
    except InvalidField:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidField("not valid JSON") from error
    _check(value, max_depth)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidField(f"{name} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise InvalidField(f"the number {text[:32]} is too large")
    return value


def _check(value: object, depth: int) -> None:
    if depth == 0:
        raise InvalidField("nested too deep")
    if isinstance(value, str):
        if "\x00" in value:
            raise InvalidField("NUL characters cannot be stored")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise InvalidField("lone surrogates are not text")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check(key, depth)
            _check(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth - 1)
