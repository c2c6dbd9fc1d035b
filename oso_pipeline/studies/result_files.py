"""Results of a study as files: JSON, Markdown, and a page without scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from oso_pipeline.core.commit import digest, publish_bytes, write_sidecar

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:820px;margin:32px auto;padding:0 20px}"
    "svg{width:100%;height:auto}text{font-size:9px;fill:#5b6762}.grid{stroke:#d9dfda}"
    "polyline{fill:none;stroke-width:1.6}.overall{stroke:#1f7a4d}.low,.high{stroke:#9cc7b0}"
    ".small{width:160px}.whisker{stroke:#9cc7b0;stroke-width:1.6}.dot{fill:#1f7a4d}"
    ".wanted{stroke:#d07a1f;stroke-dasharray:4 3}table{border-collapse:collapse}"
    "td,th{padding:4px 10px;text-align:left;border-bottom:1px solid #d9dfda}.quiet{color:#5b6762}"
)


def html_page(title: str, *parts: Markup) -> str:
    """Return a page; the title is escaped, the parts are as they are."""
    return Markup(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv='
        "\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        "<title>{0}</title><style>{1}</style></head><body><h1>{0}</h1>{2}</body></html>\n"
    ).format(escape(title), Markup(_STYLE), Markup("").join(parts))


def write_results(
    folder: Path, name: str, stage: str, content: Mapping[str, Any], markdown: str, html: str
) -> list[Path]:
    """Write results as ``name.json``, ``name.md`` and ``name.html``, committed; return the paths.

    Parameters
    ----------
    folder
        Where the files go.
    name
        Of the files.
    stage
        Name of the study, for the commit records.
    content
        Content of the JSON file.
    markdown, html
        Content of the other files.
    """
    files = {
        f"{name}.json": json.dumps(content, indent=1, sort_keys=True) + "\n",
        f"{name}.md": markdown,
        f"{name}.html": html,
    }
    paths = []
    for file, text in files.items():
        path = folder / file
        publish_bytes(path, text.encode())
        write_sidecar(path, {"stage": stage, "key": digest(content)})
        paths.append(path)
    return paths
