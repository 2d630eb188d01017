"""Small plots as SVG elements, drawn without any library."""

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from shared.contracts.drift import EmbeddingChart, Histogram
from shared.present.markup import el

_WIDTH = 640
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 8, 34
# Even bins of a drawn histogram; the stored ones are as wide as their counts made them.
_DRAWN_BINS = 32
_TICKS = 4


@dataclass(frozen=True, slots=True)
class _Axes:
    """Maps data to pixels; y begins at 0 unless `low` says otherwise."""

    x0: float
    x1: float
    high: float
    height: int
    low: float = 0.0

    def x(self, value: float) -> float:
        span = self.x1 - self.x0 or 1.0
        return _LEFT + (value - self.x0) / span * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        span = self.high - self.low or 1.0
        inside = self.height - _TOP - _BOTTOM
        return _TOP + inside - (value - self.low) / span * inside


def histogram(data: Histogram, label: str, height: int = 240) -> Element:
    """Return two distributions over each other: the reference filled, the current as a line."""
    edges, before, now = even_bins(data)
    axes = _Axes(edges[0], edges[-1], max(*before, *now, 1e-9) * 1.05, height)
    drawing = _canvas(height, label)
    for index, share in enumerate(before):
        left, right = axes.x(edges[index]), axes.x(edges[index + 1])
        drawing.append(_bar("before", left, axes.y(share), right - left, axes.y(0)))
    steps = [
        f"{axes.x(edges[index + side]):.1f},{axes.y(share):.1f}"
        for index, share in enumerate(now)
        for side in (0, 1)
    ]
    drawing.append(el("polyline", class_="now", points=" ".join(steps)))
    _draw_y(drawing, axes)
    for step in range(_TICKS + 1):
        value = edges[0] + (edges[-1] - edges[0]) * step / _TICKS
        drawing.append(_text(f"{value:.2g}", axes.x(value), height - 18, "middle"))
    drawing.append(_text(label, _WIDTH / 2, height - 4, "middle"))
    return drawing


def bars(names: Sequence[str], before: Sequence[float], now: Sequence[float]) -> Element:
    """Return a pair of horizontal bars for each name; the shares are 0..1."""
    row, gutter = 34, 190
    drawing = _canvas(row * max(1, len(names)), "shares before and now")
    scale = (_WIDTH - gutter - 60) / max(*before, *now, 1e-9)
    for index, name in enumerate(names):
        top = index * row
        shown = name if len(name) <= 28 else f"{name[:27]}…"
        drawing.append(_text(shown, gutter - 8, top + 21, "end", title=name))
        for kind, share, offset in (("before", before[index], 4), ("now-bar", now[index], 18)):
            drawing.append(_bar(kind, gutter, top + offset, share * scale, top + offset + 12))
            place = gutter + share * scale + 4
            drawing.append(_text(f"{share:.1%}", place, top + offset + 10, "start"))
    return drawing


def scatter(data: EmbeddingChart, height: int = 360) -> Element:
    """Return the samples as dots; those of the new cluster on top."""
    points = [*data.reference, *data.current, *data.new] or [(0.0, 0.0)]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    axes = _Axes(min(xs), max(xs), max(ys), height, min(ys))
    drawing = _canvas(height, "photos in two coordinates of the model's feature space")
    series = (("before", data.reference), ("now-dot", data.current), ("new", data.new))
    for kind, dots in series:
        for x, y in dots:
            centre = {"cx": f"{axes.x(x):.1f}", "cy": f"{axes.y(y):.1f}"}
            drawing.append(el("circle", class_=kind, r=2.5, **centre))
    return drawing


def even_bins(data: Histogram) -> tuple[list[float], list[float], list[float]]:
    """Return even edges and the shares of both sides between them.

    A stored bin's count is spread evenly over it; the open outer ones get a drawn bin each.
    """
    low, high = (data.edges[0], data.edges[-1]) if data.edges else (0.0, 0.0)
    step = (high - low) / (_DRAWN_BINS - 2) or 1.0
    inner = max(1, round((high - low) / step))
    edges = [low + step * (index - 1) for index in range(inner + 3)]
    bounds = [edges[0], *data.edges, edges[-1]]
    spread = [_spread(bounds, counts, edges) for counts in (data.reference, data.current)]
    return edges, spread[0], spread[1]


def _spread(bounds: Sequence[float], counts: Sequence[int], edges: Sequence[float]) -> list[float]:
    total = max(1, sum(counts))
    shares = [0.0] * (len(edges) - 1)
    for left, right, count in zip(bounds[:-1], bounds[1:], counts, strict=False):
        width = right - left
        for index in range(len(shares)):
            overlap = min(right, edges[index + 1]) - max(left, edges[index])
            if width > 0 and overlap > 0:
                shares[index] += count / total * overlap / width
    return shares


def _canvas(height: int, label: str) -> Element:
    box = f"0 0 {_WIDTH} {height}"
    drawing = el("svg", el("title", label), xmlns="http://www.w3.org/2000/svg", role="img")
    # The only attribute in mixed case.
    drawing.set("viewBox", box)
    return drawing


def _bar(kind: str, left: float, top: float, width: float, bottom: float) -> Element:
    place = {"x": f"{left:.1f}", "y": f"{top:.1f}"}
    return el("rect", class_=kind, width=f"{width:.1f}", height=f"{bottom - top:.1f}", **place)


def _text(text: str, x: float, y: float, anchor: str, title: str | None = None) -> Element:
    hint = el("title", title) if title not in {None, text} else None
    return el("text", hint, text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor)


def _draw_y(drawing: Element, axes: _Axes) -> None:
    for step in range(_TICKS + 1):
        value = axes.high * step / _TICKS
        y = axes.y(value)
        drawing.append(el("line", class_="grid", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=y, y2=y))
        drawing.append(_text(f"{value:.1%}", _LEFT - 5, y + 4, "end"))
