"""A page with a figure: accuracy by day. It needs neither network nor scripts."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from markupsafe import Markup

from oso_pipeline.report.charts import Chart, line_chart
from oso_pipeline.studies.result_files import html_page

if TYPE_CHECKING:
    from oso_pipeline.studies.season.result import SeasonSummary


def page_of(summary: SeasonSummary, found: str, design: str) -> str:
    """Return the page; every text is escaped."""
    rows = Markup("").join(
        Markup("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>").format(
            row.day or "the whole season",
            row.products,
            _number(row.overall["estimate"], row.overall["low"], row.overall["high"]),
            _number(row.share, row.interval.low, row.interval.high),
        )
        for row in summary.rows
    )
    table = Markup(
        '<p class="quiet">Overall accuracy by the day up to which images count, in days after the '
        "first of the table; thin: its interval; dashed: the share of the final accuracy that is "
        "looked for.</p><table><thead><tr><th>Images up to</th><th>Images</th>"
        "<th>Overall accuracy</th><th>Share of the final one</th></tr></thead><tbody>{}</tbody>"
        '</table><p class="quiet">{}</p>'
    ).format(rows, design)
    title = f"{summary.name}, {summary.year}: accuracy by day"
    return html_page(title, Markup("<p>{}</p>").format(found), _figure(summary), table)


def _figure(summary: SeasonSummary) -> Markup:
    """Return the figure; nothing with fewer than two days."""
    days = [row for row in summary.rows if row.day is not None]
    if len(days) < 2:
        return Markup("")
    first = date.fromisoformat(str(days[0].day))
    x = [(date.fromisoformat(str(row.day)) - first).days for row in days]
    wanted = summary.reach * (summary.rows[-1].overall["estimate"] or float("nan"))
    series = {
        "low": [_or_nan(row.overall["low"]) for row in days],
        "high": [_or_nan(row.overall["high"]) for row in days],
        "wanted": [wanted] * len(days),
        "overall": [_or_nan(row.overall["estimate"]) for row in days],
    }
    return _drawn(line_chart("Overall accuracy by day", x, series))


def _drawn(chart: Chart) -> Markup:
    frame = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">')
    line = Markup('<line class="grid" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/>')
    beside = Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>')
    below = Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>')
    drawn = Markup('<polyline class="{}" points="{}"/>')
    parts = [
        frame.format(chart.width, chart.height, chart.title),
        *(line.format(chart.left, chart.right, tick.at) for tick in chart.y_ticks),
        *(beside.format(chart.left - 5, tick.at + 3, tick.text) for tick in chart.y_ticks),
        *(below.format(tick.at, chart.bottom + 16, tick.text) for tick in chart.x_ticks),
        *(drawn.format(one.name, one.points) for one in chart.lines),
        Markup("</svg>"),
    ]
    return Markup("").join(parts)


def _number(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1%}" + ("" if low is None else f" ({low:.1%} to {high:.1%})")


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
