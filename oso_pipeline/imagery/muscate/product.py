"""A MUSCATE L2A product whose metadata have been read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery.clear import ClearPolicy, ClearRule
from oso_pipeline.imagery.muscate.files import Flags, band_file, read_flags
from oso_pipeline.imagery.muscate.format_product import FormatProduct
from oso_pipeline.imagery.muscate.names import ProductName
from oso_pipeline.imagery.muscate.orbits import relative_orbit
from oso_pipeline.imagery.muscate.quality import MASKS, rules_of
from oso_pipeline.imagery.processing import Processing
from oso_pipeline.imagery.protocol import Candidate, Request

FAMILY = "muscate"


def candidate_of(path: Path, name: ProductName, stem: str = "") -> Candidate:
    """Return a product as a candidate of the search; its files at `path` begin with `stem`."""
    moment = name.acquired.replace(microsecond=0).isoformat()
    return Candidate(
        path,
        FAMILY,
        name.text,
        name.tile,
        name.acquired,
        observation=(name.platform, name.zone, moment),
        rank=name.rank,
        stem=stem,
        platform=name.satellite,
    )


@dataclass(frozen=True)
class MuscateProduct(FormatProduct):
    """A MUSCATE L2A product: one acquisition, FRE or SRE."""

    family = FAMILY
    masks = MASKS

    def rules(self, policy: ClearPolicy) -> tuple[ClearRule, ...]:
        """Return which bits of which mask hide a pixel."""
        return rules_of(policy)

    def not_valid(self) -> str | None:
        """Return why the scene was not processed; None where it was."""
        if not any(name.lower().endswith(".tif") for name in self.contents.sizes):
            return "metadata without images"
        return "Validity_Flag is L2NOTV" if self._flags.not_valid else None

    def missing_bands(self, request: Request, problems: Problems) -> str | None:
        """Return a text on missing bands ('' if none); None if another kind of bands exists."""
        wanted = self.reflectance
        other = "SRE" if wanted == "FRE" else "FRE"
        has_wanted, has_other = (
            any(band_file(self.contents, kind, band) for band in request.bands)
            for kind in (wanted, other)
        )
        if has_other and not has_wanted:
            problems.error(
                "E-IMAGE-REFLECTANCE",
                f"the product has no {wanted} bands but {other} bands; the two are never mixed",
                self.found.path,
                f"set `imagery.readers: [{{kind: {FAMILY}, reflectance: {other}}}]` for the whole "
                "run, or remove the product",
            )
            return None
        return super().missing_bands(request, problems)

    def processing(self) -> Processing:
        """Return how the product was made; its metadata name neither processor nor baseline."""
        return Processing(
            cams=self._flags.cams,
            sun_zenith_deg=self.metadata.sun_zenith_deg,
            relative_orbit=relative_orbit(self.name.satellite, self.metadata.orbit, self.acquired),
        )

    @cached_property
    def _flags(self) -> Flags:
        return read_flags(self.contents)
