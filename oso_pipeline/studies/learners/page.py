"""A comparison of learners as Markdown and as a page without scripts."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from oso_pipeline.core.wording import counted
from oso_pipeline.studies.learners.result import EntrySummary, LearnerComparison, PlanSummary
from oso_pipeline.studies.learners.scores import BRIER, ECE, MACRO_F1, OVERALL, Figure
from oso_pipeline.studies.result_files import html_page

_HEAD = ("learner", "OA", "gain OA", "macro-F1", "gain F1", "ECE (floor)", "Brier", "training")
Table = list[list[str]]
"""Rows of texts, headings first."""

DESIGN = (
    "Points of 100 but for Brier; means over seeds. OA: overall accuracy. Gain: against the first "
    "row, with its 95 % interval by resampling whole polygons; both rows get the same polygons. "
    "ECE: mean distance of confidence and accuracy in 10 bins; floor: what chance alone gives to "
    "a calibrated learner. Brier: sum of squared errors of the probabilities, 0 to 2. Training: "
    "median of the folds. us/pixel: one core, from features on."
)


def as_markdown(result: LearnerComparison) -> str:
    """Return the comparison as a page of Markdown."""
    lines = [f"# {result.name}: learners compared", "", described(result), ""]
    for plan in result.plans:
        lines += [f"## {plan.name}", "", markdown(scores_table(plan)), ""]
        if plan.entries[0].parts:
            lines += ["Overall accuracy by what was left out:", "", markdown(parts_table(plan)), ""]
    lines += ["## F-score of the classes", "", markdown(classes_table(result)), "", DESIGN]
    lines += ["", *(f"* {text}" for text in result.warnings)] if result.warnings else []
    return "\n".join(lines) + "\n"


def as_html(result: LearnerComparison) -> str:
    """Return the comparison as a page; every text is escaped."""
    parts = [Markup("<p>{}</p>").format(described(result))]
    for plan in result.plans:
        parts += [Markup("<h2>{}</h2>").format(plan.name), _html(scores_table(plan))]
        if plan.entries[0].parts:
            parts += [
                Markup("<p>Overall accuracy by what was left out:</p>"),
                _html(parts_table(plan)),
            ]
    parts += [Markup("<h2>F-score of the classes</h2>"), _html(classes_table(result))]
    parts += [Markup('<p class="quiet">{}</p>').format(DESIGN)]
    parts += [Markup('<p class="quiet">{}</p>').format(text) for text in result.warnings]
    return html_page(f"{result.name}: learners compared", *parts)


def described(result: LearnerComparison) -> str:
    """Return what was compared, in a sentence."""
    plan = result.plans[0]
    return (
        f"{counted(plan.n_samples, 'sample')} of {counted(plan.n_polygons, 'polygon')}, "
        f"{counted(len(result.classes), 'class', 'classes')}; {counted(result.seeds, 'seed')}; "
        f"trained on {counted(result.threads, 'thread')}."
    )


def scores_table(plan: PlanSummary) -> Table:
    """Return a row per entry."""
    return [[*_HEAD, "us/pixel"], *(_scores_row(one) for one in plan.entries)]


def _scores_row(one: EntrySummary) -> list[str]:
    scores = one.scores
    return [
        one.name,
        points(scores[OVERALL]),
        gain(one, OVERALL),
        points(scores[MACRO_F1]),
        gain(one, MACRO_F1),
        f"{points(scores[ECE])} ({100 * one.ece_floor:.1f})",
        "" if scores[BRIER].value is None else f"{scores[BRIER].value:.3f}",
        f"{one.train_seconds:.2f} s",
        f"{one.pixel_us:.1f}",
    ]


def parts_table(plan: PlanSummary) -> Table:
    """Return a row per entry, a column per region or year that was left out."""
    names = list(plan.entries[0].parts)
    rows = [[one.name, *(f"{100 * one.parts[name]:.1f}" for name in names)] for one in plan.entries]
    return [["learner", *names], *rows]


def classes_table(result: LearnerComparison) -> Table:
    """Return a row per class and the F-score of each entry, under the first plan."""
    entries = result.plans[0].entries
    rows = [
        [
            f"{code} {name}",
            str(result.polygons[code]),
            *(
                " ".join(filter(None, [points(one.scores[str(code)]), gain(one, str(code))]))
                for one in entries
            ),
        ]
        for code, name in result.classes.items()
    ]
    return [["class", "polygons", *(one.name for one in entries)], *rows]


def points(figure: Figure) -> str:
    """Return a share in points; empty where it is undefined."""
    return "" if figure.value is None else f"{100 * figure.value:.1f}"


def gain(one: EntrySummary, name: str) -> str:
    """Return a gain in points with its interval; empty for the first entry.

    Examples
    --------
    >>> entry = EntrySummary("a", {}, {"overall": Figure(0.021, 0.004, 0.03)}, 0, {}, 0, 0)
    >>> gain(entry, "overall")
    '+2.1 (+0.4 to +3.0)'
    """
    figure = one.gains.get(name)
    if figure is None or figure.value is None:
        return ""
    text = _signed(figure.value)
    if figure.low is None or figure.high is None:
        return text
    return f"{text} ({_signed(figure.low)} to {_signed(figure.high)})"


def markdown(table: Table) -> str:
    """Return a table in Markdown."""
    head, *rows = table
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _signed(value: float) -> str:
    rounded = round(100 * value, 1)
    return f"{rounded:+.1f}" if rounded else "0.0"


def _html(table: Table) -> Markup:
    head, *rows = table
    return Markup("<table><thead>{}</thead><tbody>{}</tbody></table>").format(
        _row(head, "th"), Markup("").join(_row(row, "td") for row in rows)
    )


def _row(cells: Sequence[str], kind: str) -> Markup:
    cell = Markup("<{0}>{{}}</{0}>").format(Markup(kind))
    return Markup("<tr>{}</tr>").format(Markup("").join(cell.format(text) for text in cells))
