"""Texts from files: whatever they hold, the database takes them."""

import json

from hypothesis import given
from hypothesis import strategies as st

from shared.core.texts import has_unstorable, storable, storable_json

_ANY = st.text(st.characters(), max_size=50)  # surrogates and controls too


def test_a_nul_is_replaced_and_the_rest_kept():
    assert storable("claim\x00 of \ud800") == "claim\ufffd of \ufffd"
    assert storable("ein Fußball – 足球") == "ein Fußball – 足球"
    assert len(storable("x" * 9000)) == 2000


def test_json_is_cleaned_in_keys_values_and_lists():
    value = {"a\x00": ["b\x00", {"c": "d\x00\n"}], "n": 1, "nan": float("nan"), "none": None}
    assert storable_json(value) == {
        "a\ufffd": ["b\ufffd", {"c": "d\ufffd\n"}],
        "n": 1,
        "nan": None,
        "none": None,
    }
    assert storable_json([[["deep"]]], depth=2) == [[None]]


@given(
    st.recursive(_ANY | st.floats(), lambda inner: st.lists(inner) | st.dictionaries(_ANY, inner))
)
def test_what_comes_out_is_utf_8_without_nul(value):
    written = json.dumps(storable_json(value), allow_nan=False, ensure_ascii=False)
    assert b"\x00" not in written.encode()
    assert "\\u0000" not in written


@given(_ANY)
def test_a_storable_text_has_nothing_unstorable(text):
    assert not has_unstorable(storable(text))
