"""Checks of an acquisition before its pixels are read, for all readers."""

from __future__ import annotations

from math import isfinite

from oso_pipeline.core.errors import Problem, Problems
from oso_pipeline.imagery.acquisition import Acquisition, Asset, Reason, Skipped
from oso_pipeline.imagery.metadata_file import MetadataError
from oso_pipeline.imagery.protocol import Candidate, Request

RESOLUTIONS_M = (10, 20)
"""Resolutions that blocks are read from: the grid of a tile, and twice its pixels."""


def faults_of(acquisition: Acquisition, request: Request) -> list[Problem]:
    """Return what of an acquisition does not serve a request; nothing where all is well.

    Parameters
    ----------
    acquisition
        As a reader gives it.
    request
        Request to the reader.

    Returns
    -------
    list of Problem
        ``E-IMAGE-ASSET`` for a band, or a quality asset of a rule, that is missing;
        ``E-IMAGE-SCALE`` for a band without scale; ``E-IMAGE-RESOLUTION`` for another
        resolution than 10 or 20 m.
    """
    lacking = [f"band {band}" for band in request.bands if band not in acquisition.bands]
    lacking += [
        f"quality asset {rule.asset}"
        for rule in acquisition.rules
        if rule.needed and rule.asset not in acquisition.quality
    ]
    if not any(asset.resolution_m == RESOLUTIONS_M[0] for asset in acquisition.assets):
        lacking.append("any asset of 10 m, whose grid is that of the tile")
    problems = []
    if lacking:
        problems.append(
            Problem(
                "E-IMAGE-ASSET",
                f"product {acquisition.product_id} lacks {', '.join(lacking)}",
                str(acquisition.path),
                "complete the product, take it out of imagery.paths, or change imagery.bands or "
                "imagery.clear",
            )
        )
    for name, asset in acquisition.bands.items():
        problems += _faults_of_band(name, asset, acquisition)
    for name, asset in (*acquisition.bands.items(), *acquisition.quality.items()):
        if asset.resolution_m not in RESOLUTIONS_M:
            problems.append(
                Problem(
                    "E-IMAGE-RESOLUTION",
                    f"{name} has pixels of {asset.resolution_m} m, expected 10 or 20",
                    asset.href,
                    "resampling is not done; leave it out of imagery.bands",
                )
            )
    return problems


def skip(candidate: Candidate, tile: str, reason: Reason, detail: str) -> Skipped:
    """Return a product as one that is not used, for the inventory of a tile."""
    return Skipped(
        candidate.product_id,
        tile,
        reason,
        detail,
        candidate.path.absolute(),
        candidate.acquired,
        candidate.platform or None,
    )


def left_out(item: Acquisition, reason: Reason, detail: str) -> Skipped:
    """Return a product that has been read as one that is not used."""
    return Skipped(
        item.product_id, item.tile, reason, detail, item.path, item.acquired, item.platform
    )


def incomplete(
    candidate: Candidate, found: str, request: Request, problems: Problems, code: str = "IMAGE-BAND"
) -> Skipped | None:
    """Leave out a product that lacks a requested part, or stop, as the configuration says.

    Parameters
    ----------
    candidate
        The product.
    found
        Missing or damaged parts, as text.
    request
        Its `incomplete` decides.
    problems
        Takes a warning or an error.
    code
        Code of the message without its letter: ``IMAGE-BAND``, or ``IMAGE-MASK`` for a mask.

    Returns
    -------
    Skipped or None
        The product as skipped; None where it is an error.
    """
    if request.incomplete == "error":
        hint = "complete the product, or set `imagery.incomplete: skip` to leave its date out"
        problems.error(f"E-{code}", found, candidate.path, hint)
        return None
    problems.warn(f"W-{code}", f"date left out: {found}", candidate.path)
    return skip(candidate, request.tile, "incomplete", found)


def unreadable(
    candidate: Candidate, error: ValueError, request: Request, problems: Problems
) -> Skipped | None:
    """Leave out a product whose metadata or archive cannot be read, or stop, as configured.

    Parameters
    ----------
    candidate
        The product.
    error
        Finding; a :class:`~oso_pipeline.imagery.metadata_file.MetadataError` is of the metadata
        (``IMAGE-METADATA``), any other of the product (``IMAGE-ARCHIVE``).
    request
        Its `incomplete` decides.
    problems
        Takes a warning or an error.

    Returns
    -------
    Skipped or None
        The product as skipped; None where it is an error.
    """
    again = "fetch the product again, or take it out of the folder"
    bad_metadata = isinstance(error, MetadataError)
    code = "IMAGE-METADATA" if bad_metadata else "IMAGE-ARCHIVE"
    found = f"the metadata file {error}" if bad_metadata else f"the product {error}"
    if request.incomplete == "error":
        problems.error(f"E-{code}", found, candidate.path, again)
        return None
    problems.warn(f"W-{code}", f"date left out: {found}", candidate.path, again)
    return skip(candidate, request.tile, "unreadable", str(error))


def _faults_of_band(name: str, asset: Asset, acquisition: Acquisition) -> list[Problem]:
    scale = asset.scale
    if scale is not None and isfinite(scale) and scale > 0 and isfinite(asset.offset):
        return []
    return [
        Problem(
            "E-IMAGE-SCALE",
            f"band {name} of {acquisition.product_id} has scale {scale} and offset "
            f"{asset.offset:g}; expected numbers that make reflectance of what is stored",
            asset.href,
            f"the reader of family {acquisition.family} must give the scale of each band",
        )
    ]
