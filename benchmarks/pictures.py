"""Pictures of results: a point for the median, a line from the lowest to the highest round, a colour for each peer.

They have no background, and every colour has enough contrast on white and on black.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from benchmarks.document import Document
from benchmarks.result import Result
from benchmarks.scenarios import Measure
from benchmarks.summary import Figure

Look = tuple[str, str]
"""Colour and marker."""
Looks = Mapping[str, Look]
"""By peer."""
TEXT = "#767676"
"""4.5:1 on white and on black, what small text needs (WCAG 2.2, 1.4.3)."""
GRID = "#76767644"
COLOURS = ("#2f7fd6", "#c8741a", "#7d7d7d", "#2b9457", "#9565d0", "#d2475a", "#16909c", "#9a6b3c")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
ALWAYS = ("relay", "nginx", "no relay")
"""Look the same in every picture, whoever else is in it."""
COLUMNS = 2
PANEL_INCHES = 6.2
ROW_INCHES = 0.21
"""Height of one peer's line."""
LINES_INCHES = 3.0
FRAME_INCHES = 0.95
"""Title and axis of a panel."""
HEAD_INCHES = 0.75
"""Title and legend of a picture."""
WIDE = 30
"""From this ratio of highest to lowest on, an axis is logarithmic: otherwise the small ones are all alike."""
NUMBER = "{x:,.10g}"
"""How ticks are written: whole, and with commas."""
SETTINGS: dict[Any, Any] = {
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": TEXT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "font.size": 9,
    "svg.hashsalt": "benchmarks",  # the same figures give the same file
    "svg.fonttype": "none",  # text that can be searched and read aloud, at a fifth of the size of outlines
    "font.family": ["sans-serif"],
}


def draw(results: Sequence[Result], *, output: Path, document: Document) -> bool:
    """Draws a family's compared measures, a panel each; False when there is none that any peer has."""
    measures = [measure for measure in _measures(results) if measure.compared and _figures(results, measure)]
    if not measures:
        return False
    peers = list(dict.fromkeys(peer for result in results for peer in result.figures))
    columns = min(COLUMNS, len(measures))
    rows = -(-len(measures) // columns)
    lined = bool(results[0].axis) and len(results) > 1
    panel = LINES_INCHES if lined else ROW_INCHES * len(results) * (len(peers) + 1)
    height = HEAD_INCHES + rows * (panel + FRAME_INCHES)
    with mpl.rc_context(SETTINGS):
        canvas = Canvas(figsize=(PANEL_INCHES * columns, height), layout="constrained")
        looks = _looks(peers)
        panels = canvas.subplots(rows, columns, squeeze=False).flat
        for axes, measure in zip(panels, measures, strict=False):
            (_draw_lines if lined else _draw_points)(axes, results, measure, looks=looks, document=document)
        for axes in list(canvas.axes)[len(measures) :]:
            axes.set_visible(False)
        _head(canvas, results, looks=looks, document=document)
        canvas.savefig(output, transparent=True, metadata={"Date": None} if output.suffix == ".svg" else None, dpi=110)
    return True


def _head(canvas: Canvas, results: Sequence[Result], *, looks: Looks, document: Document) -> None:
    title = results[0].family if len(results) > 1 else results[0].title
    machine = document.machine
    where = f"{machine.get('cpu', '')}, {machine.get('cores', '')} cores; {document.taken_at}; {machine.get('commit')}"
    canvas.suptitle(f"{title}\n{where}", x=0.01, ha="left", fontsize=10)
    handles = [Line2D([], [], color=colour, marker=marker, linewidth=1.5) for colour, marker in looks.values()]
    canvas.legend(handles, list(looks), loc="outside upper right", ncols=len(looks), frameon=False)


def _draw_points(axes: Axes, results: Sequence[Result], measure: Measure, *, looks: Looks, document: Document) -> None:
    ticks, labels, row = [], [], 0
    for result in results:
        first = row
        factors = result.ratios(document.yardstick)
        for peer, look in looks.items():
            figure = result.figures.get(peer, {}).get(measure.key)
            bound = measure.key in result.load_bound.get(peer, ())
            if figure is None and not bound:
                continue
            _point(axes, figure, row=row, look=look, measure=measure, factor=factors.get(peer, {}).get(measure.key))
            row += 1
        if row > first:
            ticks.append((first + row - 1) / 2)
            labels.append(result.variant)
            row += 1
    axes.set_yticks(ticks, labels)
    axes.set_ylim(row - 0.5, -1)
    axes.tick_params(axis="y", length=0)
    axes.set_title(_title(measure), loc="left", fontsize=9, fontweight="bold")
    _scale(axes, _figures(results, measure), "x")
    # Room for the numbers at the right end.
    axes.margins(x=0.3)
    low, high = axes.get_xlim()
    axes.set_xlim(low, high * 4 if axes.get_xscale() == "log" else high * 1.32)


def _point(axes: Axes, figure: Figure | None, *, row: int, look: Look, measure: Measure, factor: float | None) -> None:
    colour, marker = look
    if figure is None:
        axes.annotate(
            "load-bound", (0, row), xycoords=("axes fraction", "data"), xytext=(4, 0),
            textcoords="offset points", va="center", fontsize=7, color=colour,
        )  # fmt: skip
        return
    axes.plot([figure.low, figure.high], [row, row], color=colour, linewidth=2.5, alpha=0.55, solid_capstyle="round")
    axes.plot([figure.median], [row], color=colour, marker=marker, markersize=5)
    text = f"{figure.median:,.{measure.digits}f}" + ("" if factor is None else f"  x{factor:.2f}")
    axes.annotate(
        text, (figure.high, row), xytext=(6, 0), textcoords="offset points", va="center", fontsize=7, color=colour
    )


def _draw_lines(axes: Axes, results: Sequence[Result], measure: Measure, *, looks: Looks, document: Document) -> None:
    del document
    for peer, look in looks.items():
        points = [
            (float(result.variant), figure)
            for result in results
            if (figure := result.figures.get(peer, {}).get(measure.key)) is not None
        ]
        if not points:
            continue
        colour, marker = look
        at = [x for x, _ in points]
        axes.fill_between(
            at, [figure.low for _, figure in points], [figure.high for _, figure in points], color=colour, alpha=0.2
        )
        axes.plot(at, [figure.median for _, figure in points], color=colour, marker=marker, markersize=5)
    counted = [float(result.variant) for result in results]
    if min(counted) > 0 and max(counted) / min(counted) >= WIDE:
        axes.set_xscale("log")
    axes.xaxis.set_major_formatter(NUMBER)
    axes.set_xlabel(results[0].axis)
    axes.set_title(_title(measure), loc="left", fontsize=9, fontweight="bold")
    _scale(axes, _figures(results, measure), "y")


def _scale(axes: Axes, figures: Sequence[Figure], side: str) -> None:
    low, high = min(figure.low for figure in figures), max(figure.high for figure in figures)
    if low > 0 and high / low >= WIDE:
        axes.set(**{f"{side}scale": "log"})
    else:
        axes.set(**{f"{side}lim": (0, high * 1.05 or 1)})
    axes.grid(visible=True, axis="both" if side == "y" else "x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    (axes.xaxis if side == "x" else axes.yaxis).set_major_formatter(NUMBER)
    for spine in ("top", "right"):
        axes.spines[spine].set_visible(False)


def _title(measure: Measure) -> str:
    return f"{measure.label} ({'more' if measure.more_is_better else 'less'} is better)"


def _looks(peers: Sequence[str]) -> Looks:
    others = [peer for peer in peers if peer not in ALWAYS]
    places = {peer: number for number, peer in enumerate([*ALWAYS, *others])}
    return {peer: (COLOURS[places[peer] % len(COLOURS)], MARKERS[places[peer] % len(MARKERS)]) for peer in peers}


def _measures(results: Sequence[Result]) -> list[Measure]:
    return list({measure.key: measure for result in results for measure in result.measures}.values())


def _figures(results: Sequence[Result], measure: Measure) -> list[Figure]:
    return [figures[measure.key] for result in results for figures in result.figures.values() if measure.key in figures]
