"""Parquet manifests: bounded memory whatever the file claims, and columns as writers leave them."""

import io
import struct
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.ingest.sources.parquet import ParquetSource
from services.ingest.sources.parquet_pages import chunk_sizes
from services.ingest.sources.rows import SourceProblem

URLS = [f"https://a/{n}.jpg" for n in range(5)]

_PEAK = """
import io, resource, sys
from services.ingest.sources.parquet import ParquetSource
class Photos:
    by_url = by_key = lambda self, name: None
source = ParquetSource(io.BytesIO(sys.stdin.buffer.read()), Photos())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(row.problem is not None for row in source.rows({}))
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


class Photos:
    def by_url(self, url):
        return lambda _: url.encode()

    by_key = by_url


def written(table: pa.Table, **options) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def rows(data: bytes):
    return list(ParquetSource(io.BytesIO(data), Photos()).rows({}))


def test_a_dictionary_of_long_values_is_not_multiplied_in_memory():
    """A file of half a kilobyte: 400 rows, each the same megabyte."""
    data = written(pa.table({"url": ["x" * 1_000_000] * 400}), compression="zstd")
    assert len(data) < 1000
    answer = subprocess.run(
        [sys.executable, "-c", _PEAK], input=data, capture_output=True, check=True
    )
    bad, kibibytes = map(int, answer.stdout.split())
    assert bad == 400
    assert kibibytes < 300 * 1024


def test_a_page_that_unpacks_to_hundreds_of_megabytes_is_refused_unread():
    values = [f"{'x' * 1_000_000}{n}" for n in range(80)]
    data = written(
        pa.table({"url": values}), use_dictionary=False, compression="zstd", data_page_size=1 << 30
    )
    assert len(data) < 100_000
    with pytest.raises(SourceProblem, match="row group 0, column 'url': a page of 80"):
        rows(data)


def test_a_footer_that_is_too_long_is_refused_unread():
    data = b"PAR1" + bytes(3 * 1024 * 1024) + struct.pack("<I", 3 * 1024 * 1024) + b"PAR1"
    with pytest.raises(SourceProblem, match="footer"):
        rows(data)


@pytest.mark.parametrize("data", [b"", b"\xff" * 40, b"\x15\x00" * 40, b"\x1c" * 40, b"\x18\xff"])
def test_page_headers_that_are_none_are_refused(data):
    if not data:
        assert chunk_sizes(io.BytesIO(data), 0, 0).data == 0
        return
    with pytest.raises(ValueError, match="header"):
        chunk_sizes(io.BytesIO(data), 0, len(data))


@pytest.mark.parametrize(
    "urls",
    [
        pa.array(URLS, pa.binary()),
        pa.array(URLS, pa.large_string()),
        pa.array(URLS, pa.string_view()),
        pa.array(URLS).dictionary_encode(),
    ],
)
def test_strings_are_read_in_every_type_that_writers_give_them(urls):
    assert [row.source for row in rows(written(pa.table({"url": urls})))] == URLS


@pytest.mark.parametrize("encoding", ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_strings_are_read_in_every_encoding(encoding, version):
    options = {"use_dictionary": False, "column_encoding": {"url": encoding}}
    data = written(pa.table({"url": URLS}), data_page_version=version, **options)
    assert [row.source for row in rows(data)] == URLS


def test_ids_that_became_floats_and_gaps_that_became_nan_are_read_as_meant():
    nan = float("nan")
    table = pa.table(
        {
            "url": URLS,
            "id": [1.0, 2.0, nan, None, 1.5],
            "category": pa.array(["a", None, "b", "a", "a"]).dictionary_encode(),
            "listing": pa.array([nan] * 5),
        }
    )
    found = rows(written(table))
    assert [row.custom_id for row in found] == ["1", "2", None, None, None]
    assert [row.category for row in found[:4]] == ["a", None, "b", "a"]
    assert {row.listing_id for row in found} == {None}
    assert [row.problem and row.problem.detail for row in found][3:] == [
        None,
        "custom_id is not text",
    ]


def test_bytes_that_are_no_text_cost_their_own_row():
    bad, good = rows(written(pa.table({"url": [b"http://a/\xff", b"http://a/1"]})))
    assert bad.problem is not None
    assert bad.problem.detail == "url is not UTF-8 text"
    assert good.source == "http://a/1"


def test_a_column_of_lists_is_refused():
    table = pa.table({"url": URLS, "category": [[1]] * 5})
    # Parquet calls it `category.list.element`: it is none of ours.
    assert [row.category for row in rows(written(table))] == [None] * 5
