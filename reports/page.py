"""Writes a run's page and its summary from the artifacts the run has stored."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from reports import rows
from reports.files import write_text_atomically
from reports.load import read_curves, read_verdict
from reports.schema import EXIT_CODES, PAGE_FILE, SUMMARY_FILE, Verdict
from reports.text import markdown, one_line, visible

_SUMMARY_ROWS: Final = 20  # of each table; the page has them all


def write_page(folder: Path) -> Path:
    """Writes `report.html` and `summary.md` next to the artifacts they show.

    Args:
        folder: a run's folder.

    Returns:
        Path of the page.

    Raises:
        ArtifactError: an artifact is missing or broken; nothing is written.
        OSError: the folder cannot be written to.
    """
    verdict, curves = read_verdict(folder), read_curves(folder)
    page, summary = render_page(verdict, curves), render_summary(verdict)
    write_text_atomically(folder / SUMMARY_FILE, summary)
    write_text_atomically(folder / PAGE_FILE, page)
    return folder / PAGE_FILE


def render_page(verdict: Verdict, curves: pd.DataFrame) -> str:
    """The whole outcome as one HTML file without scripts or anything fetched.

    Args:
        verdict: as read by `read_verdict`.
        curves: as read by `read_curves`.
    """
    from reports import figures  # noqa: PLC0415  # half a second, and most commands draw nothing

    columns = figures.drawn_columns(curves)
    # Markup: the texts that are not escaped, for the figures have escaped their own labels.
    figure = Markup(figures.draw_figure(curves, verdict.metric)) if columns else None
    tables = {column: rows.quartiles(curves, column) for column in columns}
    seen = Markup(figures.draw_operating(verdict.operating)) if verdict.operating else None
    return _render("report.html.j2", verdict, figure=figure, tables=tables, seen=seen)


def render_summary(verdict: Verdict) -> str:
    """The outcome as a short piece of GitHub Markdown, the worst first, of bounded size."""
    return _render("summary.md.j2", verdict, most=_SUMMARY_ROWS)


def _render(template: str, verdict: Verdict, **context: object) -> str:
    differing, equal = rows.fingerprint_rows(verdict)
    return _TEMPLATES.get_template(template).render(
        context,
        verdict=verdict,
        exit_code=int(EXIT_CODES[verdict.verdict]),
        seeds_done=sum(seed.status == "complete" for seed in verdict.seeds),
        criteria=rows.criteria_by_weight(verdict),
        operating=rows.operating_rows(verdict),
        sight=rows.sight(verdict),
        seeds=rows.seeds_worst_first(verdict),
        differing=differing,
        equal=equal,
    )


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.4g}"


def _percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _visible(value: object) -> object:
    # Markup is a str too, but the figure must reach the page as it was drawn.
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=lambda name: name == "report.html.j2",
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "difference_sd": rows.difference_sd,
        "duration": _duration,
        "markdown": markdown,
        "number": _number,
        "one_line": one_line,
        "percent": _percent,
    }
    return environment


_TEMPLATES: Final = _environment()
