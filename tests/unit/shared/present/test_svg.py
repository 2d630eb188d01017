from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.drift import EmbeddingChart, Histogram
from shared.present.svg import bars, even_bins, histogram, scatter

_edge = st.floats(-50, 50).map(lambda value: round(value, 3))


@st.composite
def histograms(draw):
    edges = sorted(draw(st.sets(_edge, min_size=0, max_size=12)))
    counts = st.lists(st.integers(0, 1000), min_size=len(edges) + 1, max_size=len(edges) + 1)
    return Histogram(edges=edges, reference=draw(counts), current=draw(counts))


@given(histograms())
def test_even_bins_keep_every_photo(data):
    edges, before, now = even_bins(data)
    widths = [right - left for left, right in pairwise(edges)]
    assert max(widths) == pytest.approx(min(widths))
    for shares, counts in ((before, data.reference), (now, data.current)):
        assert sum(shares) == pytest.approx(1.0 if sum(counts) else 0.0)
    histogram(data, "score")


def test_an_even_spread_is_drawn_flat():
    data = Histogram(edges=[0.0, 1.0, 2.0, 3.0], reference=[0, 10, 10, 10], current=[0, 30, 0, 0])
    _, before, now = even_bins(data)
    inner = before[1:-1]
    assert inner == pytest.approx([inner[0]] * len(inner))
    assert before[0] == before[-1] == 0.0
    assert sum(now[: len(now) // 3 + 1]) == pytest.approx(1.0, abs=0.05)


def test_bars_are_as_long_as_their_shares():
    drawing = bars(["jpeg", "w" * 40], [0.2, 0.8], [0.4, 0.6])
    widths = [float(rect.get("width")) for rect in drawing.iter("rect")]
    assert [width / widths[0] for width in widths] == pytest.approx([1, 2, 4, 3], rel=0.01)
    texts = [text.text or text[0].tail for text in drawing.iter("text")]
    assert "w" * 27 + "…" in texts
    assert "80.0%" in texts


def test_a_scatter_has_every_point_inside():
    chart = EmbeddingChart(reference=[(0, 0), (9, -5)], current=[(3, 3)], new=[(20, 40)])
    dots = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in scatter(chart).iter("circle")]
    assert len(dots) == 4
    assert all(0 <= x <= 640 and 0 <= y <= 360 for x, y in dots)
    assert not list(scatter(EmbeddingChart(reference=[], current=[], new=[])).iter("circle"))
