import pytest

from services.gateway.routes.drift import wants_html


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        ("", False),
        ("*/*", False),
        ("text/html", True),
        ("TEXT/HTML; charset=utf-8", True),
        ("text/html;q=0", False),
        ("text/html, application/json", False),
        ("text/html;q=0.9, application/json;q=0.8", True),
        ("text/html;q=0.8, application/json;q=0.9", False),
        ("text/html;q=nan, ;;,", False),
    ],
)
def test_a_page_goes_to_who_prefers_one(accept, html):
    assert wants_html(accept) is html
