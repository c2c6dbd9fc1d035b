"""Section ``report``: what the report shows beside what the run made."""

from __future__ import annotations

from oso_pipeline.config.section import Section


class Report(Section):
    """Parts of the report that are made only if requested."""

    quicklooks: bool = False
    """Make a natural-colour and a false-colour picture of each image, in `quicklooks/` of the run
    folder; the report shows the clearest date of each month. Needs B2, B3, B4 and B8 in
    `imagery.bands`. The map does not depend on it."""
