"""A measured part of a page, between two comments that name it."""

from pathlib import Path

_MARK = "<!-- {}: {} -->"


def write_section(page: Path, name: str, section: str) -> None:
    """Put `section` between the markers of `name`; raises ValueError when they are missing."""
    text = page.read_text(encoding="utf-8")
    opening, closing = _MARK.format(name, "begin"), _MARK.format(name, "end")
    before, begin, rest = text.partition(opening)
    _, end, after = rest.partition(closing)
    if not begin or not end:
        raise ValueError(f"{page} lacks the markers {opening} and {closing}")
    page.write_text(f"{before}{begin}\n{section}\n{end}{after}", encoding="utf-8")
