import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.uploads.fields import (
    MAX_METADATA_BYTES,
    MAX_METADATA_DEPTH,
    MAX_TEXT,
    InvalidField,
    parse_metadata,
    parse_text,
)


def test_text_is_trimmed_and_an_empty_one_is_none():
    assert parse_text("  L-1042 ") == "L-1042"
    assert parse_text(" ") is None
    assert parse_text("Küche & Bad\u00a0👨‍👩‍👧") == "Küche & Bad\u00a0👨‍👩‍👧"


@pytest.mark.parametrize("raw", ["a\x00b", "a\nb", "\ud800", "x" * (MAX_TEXT + 1)])
def test_text_that_cannot_be_stored_is_refused(raw):
    with pytest.raises(InvalidField):
        parse_text(raw)


def nested(depth):
    return '{"a":' * depth + "1" + "}" * depth


def test_metadata_is_the_json_object():
    assert parse_metadata('{"seller": "S-7", "n": [1, 2.5, null]}') == {
        "seller": "S-7",
        "n": [1, 2.5, None],
    }
    parse_metadata(nested(MAX_METADATA_DEPTH - 1))


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "{",
        "[1]",
        '"text"',
        "null",
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1e999}',
        '{"a": "\\u0000"}',
        '{"\\u0000": 1}',
        '{"a": ["\\ud800"]}',
        nested(MAX_METADATA_DEPTH + 1),
        "[" * 9000,
        '{"a":' + "9" * 9000 + "}",
        json.dumps({"a": "x" * MAX_METADATA_BYTES}),
    ],
)
def test_metadata_that_jsonb_cannot_hold_is_refused(raw):
    with pytest.raises(InvalidField):
        parse_metadata(raw)


@given(
    st.text(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(json.dumps)
)
def test_whatever_passes_can_be_written_as_strict_json(raw):
    try:
        value = parse_metadata(raw)
    except InvalidField:
        return
    written = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    assert b"\x00" not in written
    assert json.loads(written) == value
