from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from shared.present.markup import clean, el, page


class Reader(HTMLParser):
    """Keeps what it is told."""

    def __init__(self, document: bytes) -> None:
        super().__init__()
        self.found = []
        self.feed(document.decode())
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        self.found.append(f"/{tag}")

    def handle_data(self, data):
        self.found.append(data)

    def handle_decl(self, decl):
        self.found.append(decl)


@given(st.text(min_size=1), st.text())
def test_any_text_comes_back_from_a_parser_as_text(text, value):
    element = el("p", text, el("b"), text, title=value)
    text, value = clean(text), clean(value)
    assert Reader(page(element)).found == [
        "DOCTYPE html", "\n", ("p", {"title": value}), text, ("b", {}), "/b", text, "/p",
    ]  # fmt: skip


def test_attributes_and_children_that_are_none_are_left_out():
    element = el("rect", None, el("title", "a"), class_="bar", stroke_width=None, x=1.0)
    assert element.attrib == {"class": "bar", "x": "1"}
    assert [child.tag for child in element] == ["title"]
    assert el("text", text_anchor="end").attrib == {"text-anchor": "end"}
