"""Parts of the page, each made by itself: one that fails says so in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from oso_pipeline.core.errors import Problem


@dataclass
class Parts:
    """Makes parts of the page and notes which could not be made.

    Parameters
    ----------
    environment
        Has the templates.
    problems
        One warning (``W-REPORT-PART``) for each part that failed.
    """

    environment: Environment
    problems: list[Problem] = field(default_factory=list)

    def made(
        self, name: str, heading: str, content: Callable[[], Mapping[str, Any]], template: str = ""
    ) -> Markup:
        """Return a part, or the error that `content` or the template raises.

        Parameters
        ----------
        name
            Name of the part in the page, and of its template where none is given.
        heading
            Its title.
        content
            Collects what the template shows.
        template
            Name of the template.
        """
        try:
            page = self.environment.get_template(f"{template or name}.html.j2")
            return Markup(page.render(content()))
        except Exception as error:  # noqa: BLE001  (no part may take the others with it)
            reason = self.failed(heading, error)
        failed = self.environment.get_template("failed.html.j2")
        text = failed.render(name=name, heading=heading, reason=reason)
        return Markup(text)

    def failed(self, heading: str, error: Exception) -> str:
        """Note that a part could not be made, and return why."""
        reason = f"{type(error).__name__}: {error}"
        message = f"not in the report: {heading}: {reason}"
        hint = "run `oso verify`; where the files are sound this is a bug, please report it"
        self.problems.append(Problem("W-REPORT-PART", message, "report.html", hint))
        return reason
