"""CSV as spreadsheets and scripts write it: no row is lost in silence, no record is endless."""

import io
import tracemalloc

import pytest

from services.ingest.sources.manifest import MAX_LINE_BYTES, CsvSource, JsonLinesSource
from services.ingest.sources.rows import SourceProblem


class Photos:
    def by_url(self, url):
        return lambda _: url.encode()

    by_key = by_url


def rows(text: str, position=None):
    return list(CsvSource(io.BytesIO(text.encode()), Photos()).rows(position or {}))


def told(text: str):
    return {row.line: row.problem.detail if row.problem else row.source for row in rows(text)}


def test_a_quote_that_is_never_closed_costs_its_own_line_only():
    lines = ["url,custom_id", *(f"http://a/{n},{n}" for n in range(59))]
    lines[3] = 'http://a/2,"2'
    found = told("\n".join(lines))
    assert len(found) == 59
    assert found[4] == "a quote is opened and never closed"
    assert found[5] == "http://a/3"
    assert found[60] == "http://a/58"


def test_two_quotes_that_are_never_closed_take_nothing_between_them():
    lines = ["url,custom_id", 'http://a/1,"1', "http://a/2,2", "http://a/3,3", 'http://a/4,"4']
    found = told("\n".join([*lines, "http://a/5,5"]))
    assert [found[line] for line in (3, 4, 6)] == ["http://a/2", "http://a/3", "http://a/5"]
    assert "closing quote" in found[2]
    assert "never closed" in found[5]


def test_reading_goes_on_at_the_same_place_after_an_unclosed_quote():
    text = 'url,id\nhttp://a/1,"1\nhttp://a/2,2\nhttp://a/3,3\n'
    whole = rows(text)
    for row, rest in zip(whole, (whole[1:], whole[2:], whole[3:]), strict=True):
        assert [r.line for r in rows(text, row.after)] == [r.line for r in rest]


def test_line_breaks_in_a_column_that_is_not_ours_are_part_of_its_row():
    found = told('url,text\nhttp://a/1,"two\nlines, ""quoted"""\nhttp://a/2,x\n')
    assert found == {2: "http://a/1", 4: "http://a/2"}


def test_an_endless_record_is_not_gathered():
    text = 'url\n"' + "x\n" * 4_000_000
    source = CsvSource(io.BytesIO(text.encode()), Photos()).rows({})
    tracemalloc.start()
    first = next(source)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert first.line == 2
    assert first.problem is not None
    assert "quote" in first.problem.detail
    assert peak < 20 * MAX_LINE_BYTES


def test_a_file_of_nothing_but_open_quotes_is_given_up():
    # Each line opens a quote, read alone as well as behind the others.
    with pytest.raises(SourceProblem, match="not closed"):
        rows("url,id\n" + 'x","\n' * 60_000)


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_every_kind_of_line_end_is_read(end):
    lines = ["url,custom_id", *(f"http://a/{n},{n}" for n in range(20_000))]
    found = rows(end.join(lines) + end)
    assert [row.custom_id for row in found] == [str(n) for n in range(20_000)]
    assert [row.line for row in found] == list(range(2, 20_002))
    middle = found[12_000]
    again = rows(end.join(lines) + end, middle.after)
    assert again[0].source == "http://a/12001"
    assert len(again) == 20_000 - 12_001


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;\r", "\ufeffsep=;"])
def test_the_line_by_which_spreadsheets_name_the_delimiter_is_no_header(first):
    found = rows(f"{first}\nurl;category\nhttp://a/1,2;mugs, cups, and, more\n")
    assert [(row.line, row.source, row.category) for row in found] == [
        (3, "http://a/1,2", "mugs, cups, and, more")
    ]


def test_a_header_in_another_encoding_is_told_so():
    with pytest.raises(SourceProblem, match="save it as UTF-8"):
        list(CsvSource(io.BytesIO("url\nhttp://a/1\n".encode("utf-16")), Photos()).rows({}))


@pytest.mark.parametrize("text", ['[{"url": "http://a/1"}]', "\ufeff[\n  {\n", "[]", "[ ]"])
def test_a_json_array_is_told_what_json_lines_are(text):
    with pytest.raises(SourceProblem, match="JSON Lines"):
        list(JsonLinesSource(io.BytesIO(text.encode()), Photos()).rows({}))
