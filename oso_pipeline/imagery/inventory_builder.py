"""From the products found to the inventory of a tile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

from oso_pipeline.core.errors import InputDataError, Problem, Problems
from oso_pipeline.imagery.acquisition import REASONS, Acquisition, Reason, Skipped
from oso_pipeline.imagery.cache.copies import Copies
from oso_pipeline.imagery.checks import check_series, most_common_grid
from oso_pipeline.imagery.contract import faults_of, left_out, skip
from oso_pipeline.imagery.findings import Unknown
from oso_pipeline.imagery.inventory import Inventory, in_order
from oso_pipeline.imagery.pixel_check import check_pixels
from oso_pipeline.imagery.protocol import Candidate, Product, Request
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.sanity import check_alike
from oso_pipeline.imagery.tile_grid import layout_of, shared_layout
from oso_pipeline.imagery.twice import in_several_formats, several_formats, twice_seen

_IF_HALVES = (
    "nothing, if these are two versions; if they show two parts of the tile, fetch both in one "
    "processing baseline"
)


@dataclass(frozen=True, slots=True)
class Period:
    """The days whose images are used.

    Parameters
    ----------
    first, last
        First and last day of the season with its margins, both included.
    as_of
        Last day of which images are used, where that is earlier; None for all.
    """

    first: date
    last: date
    as_of: date | None = None

    def __contains__(self, moment: datetime) -> bool:
        return self.leaves_out(moment) is None

    @property
    def until(self) -> date:
        """The last day whose images are used."""
        return self.last if self.as_of is None else min(self.last, self.as_of)

    def leaves_out(self, moment: datetime) -> Reason | None:
        """Return why an image is not used; None where it is."""
        day = moment.astimezone(UTC).date()
        if not self.first <= day <= self.last:
            return "outside_season"
        return "acquired_later" if day > self.until else None


@dataclass
class InventoryBuilder:
    """Reads the products of one tile and collects every problem on the way.

    Parameters
    ----------
    request
        Bands and quality layers requested.
    period
        The days that are used.
    extracted
        Folder that takes the files of archives.
    problems
        Takes errors and warnings.
    copies
        The products that are read from copies; none by default.
    """

    request: Request
    period: Period
    extracted: Path
    problems: Problems = field(default_factory=Problems)
    copies: Copies = field(default_factory=Copies)

    def __post_init__(self) -> None:
        self._readers = Readers.of(self.request.readers)
        self._left_out: list[Problem] = []
        self._copied: list[Acquisition] = []

    def build(
        self, candidates: Sequence[Candidate], unrecognised: Iterable[Unknown], may_be_empty: bool
    ) -> Inventory:
        """Return the inventory of the tile.

        Parameters
        ----------
        candidates
            The products found.
        unrecognised
            Files and folders that are not products.
        may_be_empty
            Accept a tile of which no product can be used.

        Raises
        ------
        InputDataError
            With all errors of all products.
        """
        tile = self.request.tile
        used: list[Acquisition] = []
        skipped = [self._unknown(one) for one in unrecognised]
        for group in _observations(candidates):
            self._best_of(group, used, skipped)
        used = self._on_one_grid(self._of_one_name(used, skipped), skipped)
        if used:
            self._warn_of_scales(used)
            check_alike(used, tile, self.problems)
            check_pixels(used, layout_of(used[0]).grid, tile, self.problems)
            self.problems.extend(twice_seen(used, self._readers.composites))
        elif not may_be_empty:
            # Where nothing is left, the reasons of all products are one mistake to fix.
            self.problems.extend(self._left_out)
            if not self.problems.errors:
                self._no_product(skipped)
        self.problems.raise_errors(InputDataError)
        # All checks above read the sources: the copies are made later.
        used = [self.copies.named(item) if item in self._copied else item for item in used]
        layout = shared_layout([layout_of(item) for item in used], tile)
        return Inventory(tile, layout.grid, layout.block_shape, in_order(used), in_order(skipped))

    def _best_of(
        self, group: list[Candidate], used: list[Acquisition], skipped: list[Skipped]
    ) -> None:
        """Use the best readable product of one acquisition, or its parts; list the others."""
        opened: list[tuple[Candidate, Product]] = []
        for candidate in group:
            if reason := self.period.leaves_out(candidate.acquired):
                detail = "by the date in its name"
                skipped.append(skip(candidate, self.request.tile, reason, detail))
                continue
            reader, found = self._readers[candidate.family], Problems()
            product = reader.open(candidate, self.extracted, self.request, found)
            if isinstance(product, Skipped):
                skipped.append(product)
            elif product is not None:
                opened.append((candidate, product))
            skipped += self._settled(candidate, found)
        # Equal names: a folder before an archive, then by path.
        opened.sort(key=lambda pair: (pair[0].path.is_file(), str(pair[0].path)))
        opened.sort(key=lambda pair: pair[1].candidate.rank, reverse=True)
        chosen: list[tuple[Product, Acquisition]] = []
        for candidate, product in opened:
            if any(not _completes(product, better) for better, _ in chosen):
                self._superseded(candidate, product, chosen[0][1], skipped)
                continue
            found = Problems()
            result = product.read(self.request, found)
            skipped += self._settled(product.candidate, found)
            if isinstance(result, Acquisition):
                if faults := faults_of(result, self.request):
                    self.problems.extend(faults)
                    continue
                chosen.append((product, result))
                used.append(result)
                if candidate in self.copies.candidates:
                    self._copied.append(result)
            elif isinstance(result, Skipped):
                skipped.append(result)

    def _settled(self, candidate: Candidate, found: Problems) -> list[Skipped]:
        """Record what was found about a product; return it as skipped if its errors allow that.

        A damaged header looks like a product of another place or size, so both are treated alike.
        """
        if self.request.incomplete == "error" or not found.errors:
            self.problems.extend(found)
            return []
        self.problems.extend(found.warnings)
        self.problems.extend(_left_out_for(error) for error in found.errors)
        self._left_out += found.errors
        detail = found.errors[0].message
        return [skip(candidate, self.request.tile, "contradictory", detail)]

    def _of_one_name(
        self, used: Sequence[Acquisition], skipped: list[Skipped]
    ) -> list[Acquisition]:
        """Return the products without those that another reader reads under the same name."""
        found = in_several_formats(used, self._readers.families)
        skipped += [
            left_out(item, "older_version", f"the same product is used as {other.family}")
            for item, other in found
        ]
        self.problems.extend(several_formats(found))
        return [item for item in used if item not in [one for one, _ in found]]

    def _on_one_grid(
        self, used: Sequence[Acquisition], skipped: list[Skipped]
    ) -> list[Acquisition]:
        """Return the products on the grid of most, where the others may be left out."""
        grids = {item.product_id: layout_of(item).grid for item in used}
        found = Problems()
        if grids:
            check_series(grids, f"tile {self.request.tile}", found)
        if self.request.incomplete == "error" or 2 * len(found.errors) >= len(used):
            self.problems.extend(found)
            return list(used)
        shared = most_common_grid(grids.values())
        odd = [item for item in used if grids[item.product_id] != shared]
        for item, error in zip(odd, found.errors, strict=True):
            self.problems.extend([_left_out_for(error)])
            skipped.append(left_out(item, "contradictory", error.message))
        return [item for item in used if item not in odd]

    def _superseded(
        self, candidate: Candidate, product: Product, chosen: Acquisition, skipped: list[Skipped]
    ) -> None:
        named = product.candidate
        if named.product_id == chosen.product_id:
            detail = f"the one in {chosen.path} is used"
            found, hint = f"{named.product_id} is there more than once; {detail}", None
        else:
            detail = f"{chosen.product_id} is used"
            found = f"{named.product_id} shows the same acquisition as another product; {detail}"
            hint = _IF_HALVES if hasattr(product, "completes") else None
        self.problems.warn("W-IMAGE-VERSIONS", found, candidate.path, hint)
        skipped.append(skip(named, self.request.tile, "older_version", detail))

    def _unknown(self, found: Unknown) -> Skipped:
        path = found.path
        self.problems.warn(
            "W-IMAGE-UNKNOWN",
            f"{path.name} is not recognised as a product and left out: {found.detail}",
            path,
            self._hint(found.reason),
        )
        return Skipped(path.name, self.request.tile, found.reason, found.detail, path.absolute())

    def _hint(self, reason: Reason) -> str:
        if reason == "packed":
            return "unpack it; products are read as folders or as zips"
        if reason == "unreadable":
            return "repair it or fetch it again, or take it out of the folder"
        return f"expected {self._readers.expected}"

    def _warn_of_scales(self, used: Sequence[Acquisition]) -> None:
        scales = Counter(scale for item in used for scale in _scales(item))
        if len(scales) > 1:
            found = ", ".join(
                f"{scale:g}{offset:+g} in {n} products"
                for (scale, offset), n in sorted(scales.items())
            )
            self.problems.warn(
                "W-IMAGE-SCALES",
                f"reflectance is stored with different scales: {found}; each is applied",
                f"tile {self.request.tile}",
            )

    def _no_product(self, skipped: Sequence[Skipped]) -> None:
        reasons = Counter(item.reason for item in skipped)
        found = "; ".join(f"{n} {REASONS[reason]}" for reason, n in sorted(reasons.items()))
        self.problems.error(
            "E-TILE-NO-IMAGE",
            f"tile {self.request.tile} has no usable product from {self.period.first} to "
            f"{self.period.until} ({found or 'none found'})",
            f"tile {self.request.tile}",
            "add its products to `imagery.paths`, or set `imagery.allow_missing_tiles: true`",
        )


def _observations(candidates: Iterable[Candidate]) -> list[list[Candidate]]:
    """Group versions and profiles of one acquisition."""
    groups: dict[tuple[str, ...], list[Candidate]] = {}
    for candidate in candidates:
        key = (candidate.family, *candidate.observation)
        groups.setdefault(key, []).append(candidate)
    return [groups[key] for key in sorted(groups)]


def _completes(product: Product, better: Product) -> bool:
    """Return whether two products of one acquisition show different parts of the tile."""
    completes = getattr(product, "completes", None)
    return completes is not None and bool(completes(better))


def _left_out_for(error: Problem) -> Problem:
    """Return an error of a product as the warning that its date is left out."""
    return replace(error, code=f"W{error.code[1:]}", message=f"date left out: {error.message}")


def _scales(acquisition: Acquisition) -> set[tuple[float, float]]:
    """Return scale and offset of the bands of a product."""
    return {(asset.scale or 0.0, asset.offset) for asset in acquisition.bands.values()}
