"""The section of the report about exported series."""

from __future__ import annotations

from oso_pipeline.tasks.run_files import RunFiles
from oso_pipeline.tasks.section import Section

_HEADING = "Series"


def series_section(files: RunFiles) -> Section | None:
    """Return which series were made, and how many clear dates they rest on; None for none."""
    if failure := files.failure("series"):
        return Section(_HEADING, (f"The series could not be made: {failure}",))
    done = files.summaries("series")
    pixels = sum(one["pixels"] for one in done)
    if not pixels:
        return None
    dates = sum(one["clear_dates"] for one in done) / pixels
    without = 100 * sum(one["without_date"] for one in done) / pixels
    size = sum(one["bytes"] for one in done) / 1e9
    text = (
        f"Series of {pixels:,} pixels: {', '.join(done[0]['variables'])}. A pixel has "
        f"{dates:.1f} clear dates on average; {without:.2f} % of the pixels have none and no data. "
        f"The blocks take {size:.2f} GB in series/blocks/ of the run."
    )
    return Section(_HEADING, (text,))
