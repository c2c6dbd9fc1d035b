"""Section ``features``: what is computed from the series of a pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from oso_pipeline.config.section import Section, doubles
from oso_pipeline.config.series import BIOPHYSICAL
from oso_pipeline.core.expressions import MOST_CHARACTERS
from oso_pipeline.core.families import FAMILIES
from oso_pipeline.core.index_catalogue import catalogue_index, catalogue_names
from oso_pipeline.core.indices import (
    DEFAULT_SCALE,
    INDICES,
    MOST_SCALE,
    Index,
    formula_of,
    index_named,
    lacking,
    nearest_names,
)
from oso_pipeline.core.sensors import SENTINEL2

MOST_EXPRESSIONS = 50


def known_index(name: str) -> str:
    """Return the name of an index of this project or of the catalogue; ValueError for others."""
    if name in INDICES or name in catalogue_names():
        return name
    close = nearest_names(name, [*INDICES, *catalogue_names()])
    advice = f"did you mean {' or '.join(close)}?" if close else "see docs/features.md for all"
    raise ValueError(
        f"found {name[:40]!r}, allowed: {', '.join(INDICES)} and {len(catalogue_names())} names of "
        f"the catalogue; {advice}"
    )


def readable_formula(text: str) -> str:
    """Return a text that is a formula; ValueError for others."""
    formula_of(text)
    return text


if TYPE_CHECKING:
    IndexName: TypeAlias = str
    FamilyName: TypeAlias = str
else:
    IndexName = Annotated[str, AfterValidator(known_index)]
    FamilyName = Literal[tuple(FAMILIES)]

Formula = Annotated[str, Field(max_length=MOST_CHARACTERS), AfterValidator(readable_formula)]
Scale = Annotated[int, Field(ge=1, le=MOST_SCALE)]


class Features(Section):
    """Features computed from the series of a pixel, in addition to the reflectances."""

    indices: tuple[IndexName, ...] = tuple(INDICES)
    """Indices computed on every date of the grid, in this order: NDVI, NDWI, brightness, and those
    of a published catalogue, for example EVI2, MCARI or NBR (docs/features.md)."""
    expressions: dict[str, Formula] = Field({}, max_length=MOST_EXPRESSIONS)
    """Indices that are defined here, by name, computed after `indices`, for example EVI: 2.5 *
    (nir - red) / (nir + 6 * red - 7.5 * blue + 1). Formulas have + - * / **, parentheses, sqrt,
    abs, exp, log, min, max, and bands as reflectances from 0 to 1, by common name (nir) or name
    (B8)."""
    scales: dict[str, Scale] = Field({})
    """Factor with which an index of `expressions` or of the catalogue is stored as a whole number
    from -32768 to 32767, by name. By default 1000 for expressions, that of docs/features.md for the
    catalogue."""
    derived: tuple[FamilyName, ...] = ()
    """Families of features computed from the gap-filled series of each band and index, in this
    order. relative: each value less the mean of the series, divided by its standard deviation.
    harmonics: mean, and amplitude and phase of three terms of a Fourier series over the season, a
    phase as its cosine and sine. statistics: percentiles 10, 25, 50, 75 and 90, amplitude, and the
    days of maximum and minimum since the first date."""

    @model_validator(mode="after")
    def _usable(self) -> Features:
        if twice := doubles([*self.indices, *self.expressions]):
            raise ValueError(f"features.indices: {twice} is named more than once")
        unknown = [name for name in self.scales if name in INDICES or name not in self.index_names]
        if unknown:
            raise ValueError(
                f"features.scales: found {', '.join(unknown)}, allowed: names of expressions and "
                "of indices of the catalogue that are used"
            )
        faults = [fault for name in self.index_names if (fault := self._fault(name))]
        if faults:
            raise ValueError(f"features.expressions: {'; '.join(faults)}")
        return self

    def _fault(self, name: str) -> str:
        """Return why an index cannot be used; empty if it can."""
        if name in self.expressions and name in BIOPHYSICAL:
            return f"the name {name} is that of a variable"
        try:
            if name in self.expressions or name not in INDICES:
                self._defined(name)
        except ValueError as error:
            return f"{name}: {error}"
        return ""

    @property
    def index_names(self) -> tuple[str, ...]:
        """Names of all indices, in the order of the features."""
        return (*self.indices, *self.expressions)

    @property
    def defined(self) -> tuple[Index, ...]:
        """The indices that are defined by a formula: of the catalogue, and of `expressions`."""
        named = [name for name in self.indices if name not in INDICES]
        return tuple(self._defined(name) for name in (*named, *self.expressions))

    def _defined(self, name: str) -> Index:
        if name in self.expressions:
            scale = self.scales.get(name, DEFAULT_SCALE)
            return Index.defined(name, self.expressions[name], scale)
        found = catalogue_index(name)
        return Index.defined(name, found.formula, self.scales.get(name, found.scale))

    def lacks(self, bands: tuple[str, ...]) -> str:
        """Return which indices lack which bands, as text; empty if none does."""
        indices = [index_named(name, self.defined) for name in self.index_names]
        found = [
            f"{index.name} needs {', '.join(missing)} in imagery.bands"
            for index in indices
            if (missing := lacking(index, bands, SENTINEL2))
        ]
        key = "indices" if any(one.split()[0] in self.indices for one in found) else "expressions"
        return f"features.{key}: {'; '.join(found)}" if found else ""
