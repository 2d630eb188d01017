"""Rows of every kind of source: what is read, what is refused, and going on at any place."""

import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.sources.archive import ArchiveLimits, ArchiveSource
from services.ingest.sources.manifest import MAX_LINE_BYTES, CsvSource, JsonLinesSource
from services.ingest.sources.parquet import ParquetSource
from services.ingest.sources.prefix import relative_key
from services.ingest.sources.rows import RowProblem, Source, SourceProblem, SourceRow

LIMITS = ArchiveLimits(max_entries=100, max_bytes=10_000_000, max_ratio=50)


class Photos:
    """Says what would be read."""

    def by_url(self, url: str) -> Callable[[int], bytes]:
        return lambda _: f"url {url}".encode()

    def by_key(self, key: str) -> Callable[[int], bytes]:
        return lambda _: f"key {key}".encode()


def of_csv(text: str) -> CsvSource:
    return CsvSource(io.BytesIO(text.encode()), Photos())


def read(source: Source, position: dict[str, Any] | None = None) -> Iterator[SourceRow]:
    return source.rows(position or {})


def shown(row: SourceRow) -> tuple[Any, ...]:
    """Return everything of a row but the function that reads it."""
    problem = row.problem.code if row.problem else None
    return row.line, row.source, row.custom_id, row.listing_id, row.category, problem


def test_csv_columns_are_found_by_their_names_in_any_order():
    rows = list(
        read(of_csv("Category;LISTING;unknown;Photo_URL;id\nmugs;L1;x;http://a/1.jpg;s1\n"))
    )
    assert [shown(row) for row in rows] == [(2, "http://a/1.jpg", "s1", "L1", "mugs", None)]
    assert rows[0].read is not None
    assert rows[0].read(1) == b"url http://a/1.jpg"


def test_csv_lines_are_those_of_the_file_also_after_quoted_line_breaks():
    text = '\ufeffurl,custom_id\nhttp://a/1,"two\nlines"\n\nhttp://a/2,b\nhttp://a/3,c,d\n,e\n'
    assert [shown(row)[0::5] for row in read(of_csv(text))] == [
        (2, "invalid_row"),  # a line break is a control character
        (5, None),
        (6, "invalid_row"),
        (7, "invalid_row"),
    ]


def test_what_is_not_utf_8_costs_its_own_row_only():
    source = CsvSource(io.BytesIO(b"url\nhttp://a/\xff\nhttp://a/2\n"), Photos())
    assert [shown(row)[0::5] for row in read(source)] == [(2, "invalid_row"), (3, None)]


@pytest.mark.parametrize(
    "text",
    ["", "name,id\n", "url,photo_url\nx,y\n", "\x00\x01\n", "url\n" + "x" * (MAX_LINE_BYTES + 1)],
)
def test_a_csv_that_is_none_is_refused(text):
    with pytest.raises(SourceProblem):
        list(read(of_csv(text)))


def test_json_lines_tell_their_bad_lines():
    lines = ['{"url": "http://a/1", "id": 7}', "[1]", "{", "", '{"key": "a/b.jpg"}', '{"url": []}']
    lines += ['{"url": "http://a/1", "key": "b"}', "[" * 100_000]
    source = JsonLinesSource(io.BytesIO("\n".join(lines).encode()), Photos())
    rows = [shown(row) for row in read(source)]
    assert [row[0] for row in rows] == [1, 2, 3, 5, 6, 7, 8]
    assert [row[0] for row in rows if row[-1] is None] == [1, 5]
    assert rows[0][2] == "7"


def csv_of(rows: list[dict[str, str]]) -> Source:
    text = "url,custom_id\n" + "".join(f'{row["url"]},"{row["custom_id"]}"\n' for row in rows)
    return of_csv(text)


def jsonl_of(rows: list[dict[str, str]]) -> Source:
    data = "\n".join(json.dumps(row) for row in rows).encode()
    return JsonLinesSource(io.BytesIO(data), Photos())


def parquet_of(rows: list[dict[str, str]]) -> Source:
    sink = io.BytesIO()
    schema = pa.schema([("url", pa.string()), ("custom_id", pa.string())])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink, row_group_size=3)
    return ParquetSource(sink, Photos())


def archive_of(entries: dict[str, bytes], limits: ArchiveLimits = LIMITS) -> ArchiveSource:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries.items():
            file.writestr(name, data)
    return ArchiveSource(sink, limits)


def zip_of(rows: list[dict[str, str]]) -> Source:
    return archive_of({f"{n}-{row['custom_id']}.jpg": b"x" for n, row in enumerate(rows)})


@pytest.mark.parametrize("make", [csv_of, jsonl_of, parquet_of, zip_of])
@settings(deadline=None, max_examples=25)
@given(ids=st.lists(st.text("abcé ,;€", max_size=5), max_size=12))
def test_reading_goes_on_right_behind_any_row(make, ids):
    """Stopping behind any row and going on gives the same rows as reading through."""
    source = make([{"url": f"http://a/{n}", "custom_id": text} for n, text in enumerate(ids)])
    through = list(read(source))
    assert len(through) == len(ids)
    for index, row in enumerate(through):
        rest = [shown(each) for each in read(source, json.loads(json.dumps(row.after)))]
        assert rest == [shown(each) for each in through[index + 1 :]]


def test_a_parquet_file_that_is_none_is_refused():
    for data in (b"", b"PAR1 and no more", b"PAR1" + bytes(100) + b"PAR1"):
        with pytest.raises(SourceProblem, match="Parquet"):
            list(read(ParquetSource(io.BytesIO(data), Photos())))


def test_names_in_an_archive_are_only_names():
    source = archive_of({"../../etc/passwd": b"1", "/abs.jpg": b"2", "a\\b.jpg": b"3", "d/": b""})
    rows = list(read(source))
    assert [row.source for row in rows] == ["../../etc/passwd", "/abs.jpg", "a\\b.jpg"]
    assert [row.read(10) for row in rows if row.read] == [b"1", b"2", b"3"]


def test_bombs_in_an_archive_are_not_unpacked():
    rows = list(read(archive_of({"bomb.jpg": bytes(5_000_000), "fine.jpg": b"x" * 100})))
    assert [row.problem.code if row.problem else None for row in rows] == [
        "suspicious_entry",
        None,
    ]
    with pytest.raises(SourceProblem, match="unpacks to"):
        list(read(archive_of({f"{n}.jpg": bytes(3_000_000) for n in range(4)})))
    many = ArchiveLimits(max_entries=3, max_bytes=1000, max_ratio=50)
    with pytest.raises(SourceProblem, match="at most 3"):
        list(read(archive_of({f"{n}.jpg": b"x" for n in range(4)}, many)))


def test_an_entry_is_never_read_beyond_the_limit_whatever_it_says():
    source = archive_of({"a.jpg": b"x" * 1000})
    (row,) = read(source)
    assert row.read is not None
    with pytest.raises(RowProblem, match="more than 999"):
        row.read(999)


def test_entries_that_overlap_are_refused():
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as file:
        file.writestr("a.jpg", b"x" * 50)
        file.writestr("b.jpg", b"x" * 50)
    data = bytearray(sink.getvalue())
    second = data.rfind(b"PK\x01\x02")
    # The second entry's data begins where the first one's does.
    struct.pack_into("<L", data, second + 42, 0)
    with pytest.raises(SourceProblem, match="overlap"):
        list(read(ArchiveSource(io.BytesIO(bytes(data)), LIMITS)))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"x" * 100_000, b"PK\x05\x06" + b"\xff" * 18])
def test_an_archive_that_is_none_is_refused(data):
    with pytest.raises(SourceProblem):
        list(read(ArchiveSource(io.BytesIO(data), LIMITS)))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=4))
def test_a_damaged_archive_never_raises_anything_else(at, damage):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(3):
            file.writestr(f"{number}.jpg", bytes(range(100)))
    data = bytearray(sink.getvalue())
    data[at % len(data) : at % len(data) + len(damage)] = damage
    try:
        for row in read(ArchiveSource(io.BytesIO(bytes(data)), LIMITS)):
            if row.read is not None:
                row.read(1000)
    except (SourceProblem, RowProblem):
        pass


@pytest.mark.parametrize("key", ["", "../a", "a/../../b", "/a", "a//b", "./a", "a\\b"])
def test_a_key_stays_below_the_tenants_prefix(key):
    with pytest.raises(RowProblem):
        relative_key(key)


def test_a_usual_key_is_taken_as_it_is():
    assert relative_key("2026/nov ember/a..b.jpg") == "2026/nov ember/a..b.jpg"


def test_what_systems_add_is_no_photo():
    names = ["a.jpg", "Thumbs.db", "sub/desktop.ini", ".DS_Store", "__MACOSX/._a.jpg"]
    assert [row.source for row in read(archive_of(dict.fromkeys(names, b"x")))] == ["a.jpg"]


def test_a_workbook_is_told_apart_from_photos():
    with pytest.raises(SourceProblem, match="save the sheet as CSV"):
        list(read(archive_of({"[Content_Types].xml": b"x", "xl/workbook.xml": b"x"})))


def test_names_that_macos_wrote_without_the_flag_are_read():
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as file:
        file.writestr("M\u00fctze.jpg", b"x")
    data = bytearray(sink.getvalue())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(signature) + flags
        data[at : at + 2] = b"\x00\x00"
    (row,) = read(ArchiveSource(io.BytesIO(bytes(data)), LIMITS))
    assert row.source == "M\u00fctze.jpg"
    assert row.read is not None
    assert row.read(10) == b"x"


def test_a_row_without_a_photo_keeps_its_names():
    text = "url,key,id,listing\nhttp://a/1,b.jpg,sku-1,L1\n,,sku-2,L2\n"
    assert [shown(row)[2:4] for row in read(of_csv(text))] == [("sku-1", "L1"), ("sku-2", "L2")]
