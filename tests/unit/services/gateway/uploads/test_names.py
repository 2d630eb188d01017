import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.uploads.names import MAX_LENGTH, UNNAMED, display_name


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("mug.jpg", "mug.jpg"),
        ("../../etc/passwd", "passwd"),
        (r"C:\Users\me\mug.jpg", "mug.jpg"),
        ("a\r\nX-Injected: 1.jpg", "aX-Injected: 1.jpg"),
        ("evil\u202egpj.exe", "evilgpj.exe"),
        ("  spaced   out .jpg ", "spaced out .jpg"),
        ("кружка.jpg", "кружка.jpg"),
        # As .NET sends what is not ASCII (RFC 2047).
        ("=?utf-8?B?w5xiZXJncsO2w59lLmpwZw==?=", "Übergröße.jpg"),
        ("=?utf-8?Q?M=C3=BCtze.jpg?=", "Mütze.jpg"),
        ("=?nonsense?B?w5xi?=", "=?nonsense?B?w5xi?="),
        ("", UNNAMED),
        ("..", UNNAMED),
        ("dir/", UNNAMED),
    ],
)
def test_shows_the_last_component_without_control_characters(raw, shown):
    assert display_name(raw) == shown


def test_cuts_long_names_and_keeps_the_extension():
    name = display_name("x" * 400 + ".jpeg")
    assert len(name) == MAX_LENGTH
    assert name.endswith("x.jpeg")
    assert len(display_name("x." + "y" * 400)) == MAX_LENGTH


@given(st.text(max_size=600))
def test_any_name_becomes_a_short_printable_component(raw):
    name = display_name(raw)
    assert 1 <= len(name) <= MAX_LENGTH
    assert not set(name) & {"/", "\\", "\x00"}
    assert all(unicodedata.category(character)[0] != "C" for character in name)
    assert display_name(name) == name
