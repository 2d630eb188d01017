"""Takes PromQL apart as far as tests need it: which metrics, selected by which labels."""

import re

_STRING = re.compile(r'"(?:\\.|[^"\\])*"')
_RANGE = re.compile(r"\[[^\]]*\]")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\b\s*(?:\([^)]*\))?")
_NAME = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)\s*(?P<matchers>\{[^}]*\})?\s*(?P<call>\()?")
_LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_OPERATORS = {"and", "or", "unless", "bool"}


def selectors(expression: str) -> dict[str, set[str]]:
    """Return the metrics of an expression, each with the labels that it is selected by."""
    plain = _GROUPING.sub(" ", _RANGE.sub("", _STRING.sub('""', expression)))
    found: dict[str, set[str]] = {}
    for match in _NAME.finditer(plain):
        if match["call"] is None and match["name"] not in _OPERATORS:
            labels = _LABEL.findall(match["matchers"] or "")
            found.setdefault(match["name"], set()).update(labels)
    return found
