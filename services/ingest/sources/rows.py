"""Rows of a catalog as its source gives them, before any photo is fetched."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from shared.contracts.catalogs import CatalogErrorCode, RowErrorCode
from shared.core.errors import DetectorError
from shared.core.texts import has_unstorable, storable

MAX_TEXT = 200
MAX_SOURCE = 2048
# Longer ones are no ids, and Python refuses to write the longest.
_MAX_INTEGER = 10**MAX_TEXT

_ADDED_BY_SYSTEMS = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r"})

# Where reading goes on: a JSON object that only its source understands, but for `rows`, about how
# many there are.
Position = dict[str, Any]
# Returns a photo's bytes, at most that many; raises RowProblem, or StorageError to try later.
ReadPhoto = Callable[[int], bytes]


class RowProblem(DetectorError):
    """One row gives no photo; the others are not concerned."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class SourceProblem(DetectorError):
    """The rest of the catalog cannot be read; trying again will not help."""

    def __init__(self, code: CatalogErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row: how to read its photo, or why it has none."""

    line: int
    # The URL, key or file name as given, fit to be stored.
    source: str
    # Where reading goes on behind this row.
    after: Position
    read: ReadPhoto | None = None
    custom_id: str | None = None
    listing_id: str | None = None
    category: str | None = None
    source_url: str | None = None
    problem: RowProblem | None = None


class Source(Protocol):
    """One catalog, opened."""

    def rows(self, position: Position) -> Iterator[SourceRow]:
        """Yield the rows behind `position` ({} for all).

        Raises SourceProblem, StorageError.
        """


class PhotoReaders(Protocol):
    """How photos are read that a manifest names."""

    def by_url(self, url: str) -> ReadPhoto:
        """Return what fetches `url`."""

    def by_key(self, key: str) -> ReadPhoto:
        """Return what reads the tenant's object `key`."""


def is_incidental(name: str) -> bool:
    """Say whether a file of this name is one that systems add beside photos."""
    return name.startswith(".") or name.lower() in _ADDED_BY_SYSTEMS


def row_of(
    line: int, after: Position, fields: Mapping[str, Any], photos: PhotoReaders
) -> SourceRow:
    """Return the row that `fields` (url or key, custom_id, listing_id, category) describe.

    A row that gives no photo keeps those of its names that can be read.
    """
    names: dict[str, str | None] = {}
    problem: RowProblem | None = None
    for name in ("url", "key", "custom_id", "listing_id", "category"):
        try:
            names[name] = _text(fields, name, MAX_SOURCE if name in ("url", "key") else MAX_TEXT)
        except RowProblem as found:
            problem = problem or found
            names[name] = None
    url, key = names["url"], names["key"]
    custom_id, listing_id, category = names["custom_id"], names["listing_id"], names["category"]
    source = url or key or ""
    if problem is None and (url is None) == (key is None):
        problem = _invalid("give either url or key")
    if problem is not None:
        return SourceRow(
            line, source, after, None, custom_id, listing_id, category, problem=problem
        )
    read = photos.by_url(url) if url is not None else photos.by_key(key or "")
    return SourceRow(line, source, after, read, custom_id, listing_id, category, source_url=url)


def bad_row(line: int, after: Position, raw: str, detail: str) -> SourceRow:
    """Return a row that cannot be read; `raw` is what stands there."""
    return SourceRow(line, storable(raw, MAX_TEXT), after, problem=_invalid(detail))


def _text(fields: Mapping[str, Any], name: str, longest: int) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    text = _as_text(name, value).strip()
    if len(text) > longest:
        raise _invalid(f"{name} has more than {longest} characters")
    if has_unstorable(text):
        raise _invalid(f"{name} holds control characters")
    return text or None


def _as_text(name: str, value: Any) -> str:
    """Return the text that `value` stands for.

    Tables turn whole numbers with gaps into floats, and gaps into NaN; some writers leave strings
    as bytes.
    """
    match value:
        case str():
            return value
        case bytes():
            # Too long a text is cut somewhere, which its length tells below.
            try:
                return value.decode()
            except UnicodeDecodeError as error:
                if len(value) > 4 * MAX_SOURCE:
                    return value.decode("utf-8", "replace")
                raise _invalid(f"{name} is not UTF-8 text") from error
        case bool():
            raise _invalid(f"{name} is not text")
        case int() if abs(value) < _MAX_INTEGER:
            return str(value)
        case float() if math.isnan(value):
            return ""
        case float() if value.is_integer() and abs(value) <= 2**53:
            return str(int(value))
    raise _invalid(f"{name} is not text")


def _invalid(detail: str) -> RowProblem:
    return RowProblem(RowErrorCode.INVALID_ROW.value, detail)
