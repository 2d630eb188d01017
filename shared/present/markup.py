"""HTML and SVG as trees of elements: the serialiser escapes all text, so nothing here does."""

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element, tostring

Child = Element | str | None

# Neither HTML nor XML can hold these; a category's name may.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def el(tag: str, *children: Child, **attributes: object) -> Element:
    """Return an element; None children and attributes are left out.

    Underscores at the end of attribute names are dropped and others are hyphens: `class_`,
    `text_anchor`.
    """
    element = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            text = f"{value:g}" if isinstance(value, float) else str(value)
            element.set(name.rstrip("_").replace("_", "-"), clean(text))
    return extend(element, children)


def extend(element: Element, children: Iterable[Child]) -> Element:
    """Add `children` to `element` and return it."""
    for child in children:
        if isinstance(child, str):
            _add_text(element, clean(child))
        elif child is not None:
            element.append(child)
    return element


def clean(text: str) -> str:
    """Return `text` with a replacement character for each that no page can hold."""
    return _CONTROL.sub("\ufffd", text)


def page(root: Element) -> bytes:
    """Return a whole HTML document, in UTF-8."""
    body: bytes = tostring(root, encoding="utf-8", method="html")
    return b"<!DOCTYPE html>\n" + body


def _add_text(element: Element, text: str) -> None:
    if len(element):
        element[-1].tail = (element[-1].tail or "") + text
    else:
        element.text = (element.text or "") + text
