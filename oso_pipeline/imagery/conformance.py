"""Conformance checks of readers, for any package that brings one.

One call in a test of the package is enough::

    def test_my_reader_keeps_the_contract(tmp_path):
        check_reader(MySettings(), Path("tests/samples"), tmp_path)
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

from distributed.protocol.pickle import dumps, loads

from oso_pipeline.config.readers import ReaderSettings
from oso_pipeline.core.errors import Problems
from oso_pipeline.core.sensors import SENTINEL2
from oso_pipeline.imagery.acquisition import Acquisition, Asset, Skipped
from oso_pipeline.imagery.angles import Angles, stated_angles
from oso_pipeline.imagery.checks import check_acquisition
from oso_pipeline.imagery.clear import ClearPolicy
from oso_pipeline.imagery.contract import faults_of
from oso_pipeline.imagery.header import ZARR, driver_of, read_header
from oso_pipeline.imagery.protocol import Candidate, Request
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.search import find_products
from oso_pipeline.imagery.zarr.array import files_of


def check_reader(
    settings: ReaderSettings,
    sample: Path,
    scratch: Path,
    bands: tuple[str, ...] = SENTINEL2.names,
) -> tuple[Acquisition, ...]:
    """Check the reader of a kind against the contract of `imagery.protocol.Reader`.

    Parameters
    ----------
    settings
        Settings of the kind; its plug-in has to be installed.
    sample
        A folder with one whole product of the family or more, and nothing else of it.
    scratch
        An empty folder for copies.
    bands
        Bands that the products have.

    Returns
    -------
    tuple of Acquisition
        The products of the sample, for checks of the package's own.

    Raises
    ------
    AssertionError
        With everything that does not keep the contract.
    ConfigError
        If the plug-in is not installed or lacks a member.
    """
    before = _listing(sample)
    trial = _Trial(settings, Readers.of([settings]), scratch, bands)
    candidates = find_products([sample], trial.readers, Problems()).candidates
    faults = [] if candidates else [f"recognise: found no product below {sample}"]
    faults += trial.others()
    acquisitions = []
    for candidate in candidates:
        faults += trial.candidate(candidate)
        found = trial.read(candidate)
        if isinstance(found, Acquisition):
            acquisitions.append(found)
            faults += trial.acquisition(found)
            faults += trial.angles(found)
            faults += trial.missing_band(candidate, found)
        else:
            faults.append(f"open, read: a whole product gives {found}")
    if _listing(sample) != before:
        faults.append("the folder of the sample was changed; readers never write beside inputs")
    if faults:
        raise AssertionError("\n".join(["the reader does not keep the contract:", *faults]))
    return tuple(acquisitions)


@dataclass(frozen=True)
class _Trial:
    settings: ReaderSettings
    readers: Readers
    scratch: Path
    bands: tuple[str, ...]

    def others(self) -> Iterator[str]:
        """Show the reader what is not one of its products."""
        place = self.scratch / "others"
        (place / "empty").mkdir(parents=True)
        (place / "web_page.zip").write_text("<html>404</html>")
        (place / "pictures").mkdir()
        (place / "pictures" / "a.tif").write_bytes(b"II*\0")
        for path in sorted(place.iterdir()):
            try:
                if self.readers.recognise(path):
                    yield f"recognise: takes {path.name} for a product"
            except Exception as error:  # noqa: BLE001  (whatever a reader raises is the finding)
                yield f"recognise: raises {error!r} on {path.name}, expected None"

    def candidate(self, candidate: Candidate) -> Iterator[str]:
        """Check the candidates of the search, and the values that planning needs."""
        name, reader = candidate.product_id, self.readers[self.settings.kind]
        if candidate.family != self.settings.kind:
            yield f"{name}: is of family {candidate.family!r}, expected {self.settings.kind!r}"
        if candidate.acquired.utcoffset() != timedelta(0):
            yield f"{name}: the time of acquisition {candidate.acquired} is not in UTC"
        if candidate not in self.readers.recognise(candidate.path):
            yield f"{name}: is recognised as something else when seen again"
        if Candidate.from_json(json.loads(json.dumps(candidate.to_json()))) != candidate:
            yield f"{name}: does not survive JSON; observation, rank, token, stem are plain values"
        if reader.size_bytes(candidate) <= 0:
            yield f"{name}: size_bytes says {reader.size_bytes(candidate)}"
        yield from self._digest(candidate)
        raster = reader.peek(candidate)
        if raster is not None and read_header(raster).transform.a != 10:
            yield f"{name}: peek gives a raster that is not of 10 m"

    def _digest(self, candidate: Candidate) -> Iterator[str]:
        reader, moved = self.readers[self.settings.kind], self._copy(candidate, "moved")
        if reader.digest(candidate) != reader.digest(candidate):
            yield f"{candidate.product_id}: digest differs from call to call"
        if reader.digest(moved) != reader.digest(candidate):
            yield f"{candidate.product_id}: digest depends on where the product lies"
        home = self._home(moved)
        rasters = sorted(home.rglob("*.tif")) if home.is_dir() else []
        for raster in rasters[:1]:
            with raster.open("ab") as stream:
                stream.write(b"0")
            if reader.digest(moved) == reader.digest(candidate):
                yield f"{candidate.product_id}: digest does not follow the size of {raster.name}"

    def read(
        self,
        candidate: Candidate,
        incomplete: Literal["skip", "error"] = "error",
        clear: ClearPolicy = "oso",
    ) -> Acquisition | Skipped | str:
        """Return the acquisition of a product, or the errors of the reader as text."""
        problems, reader = Problems(), self.readers[self.settings.kind]
        request = Request(candidate.tile or "", self.bands, incomplete, clear, (self.settings,))
        found = reader.open(candidate, self.scratch / "extracted", request, problems)
        if isinstance(found, Skipped):
            return found
        if found is not None and (read := found.read(request, problems)) is not None:
            return read
        return "; ".join(map(str, problems.errors)) or "None without an error"

    def acquisition(self, found: Acquisition) -> Iterator[str]:
        """Check what the block reader relies on."""
        name = found.product_id
        request = Request(found.tile, self.bands, "error", "oso", (self.settings,))
        yield from (f"{name}: {problem}" for problem in faults_of(found, request))
        for asset in found.assets:
            files = _files_of(asset)
            size = sum(file.stat().st_size for file in files if file.is_file())
            if not files or not all(file.is_absolute() and file.is_file() for file in files):
                yield f"{name}: {asset.href} is not the absolute path of a file"
            elif size != asset.size_bytes and files[0] != found.path:
                yield f"{name}: {asset.href} is said to have {asset.size_bytes} bytes"
        problems = Problems()
        check_acquisition(found, problems)
        yield from (f"{name}: {problem}" for problem in problems.errors)
        if Acquisition.from_row(found.to_row()) != found:
            yield f"{name}: does not survive the inventory"
        if loads(dumps(found)) != found:
            yield f"{name}: does not survive the way to a worker"

    def angles(self, found: Acquisition) -> Iterator[str]:
        """Check the angles, where the reader states any."""
        try:
            stated = stated_angles(self.readers[self.settings.kind], found)
        except Exception as error:  # noqa: BLE001  (whatever a reader raises is the finding)
            yield f"{found.product_id}: angles raises {error!r}, expected None where there are none"
            return
        if stated is None:
            return
        if not isinstance(stated, Angles):
            yield f"{found.product_id}: angles gives {stated!r}, expected Angles or None"
        elif not stated.is_possible:
            yield f"{found.product_id}: angles gives {stated}, which are no directions in degrees"

    def missing_band(self, candidate: Candidate, found: Acquisition) -> Iterator[str]:
        """Take a band away: the date is left out, or the run stops, as configured."""
        band, home = _files_of(found.bands[self.bands[0]])[0], self._home(candidate).absolute()
        if band == found.path or not band.is_relative_to(home):
            return  # of an archive
        less = self._copy(candidate, "incomplete")
        (self._home(less) / band.relative_to(home)).unlink()
        left_out = self.read(less, "skip")
        if not (isinstance(left_out, Skipped) and left_out.reason == "incomplete"):
            yield f"{candidate.product_id}: without {band.name} and with skip gives {left_out}"
        stopped = self.read(less, "error")
        if not isinstance(stopped, str) or "E-IMAGE-BAND" not in stopped:
            yield f"{candidate.product_id}: without {band.name} and with error gives {stopped}"

    def _copy(self, candidate: Candidate, folder: str) -> Candidate:
        home = self._home(candidate)
        path = self.scratch / folder / home.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if home.is_dir():
            shutil.copytree(home, path)
        else:
            shutil.copy(home, path)
        return replace(candidate, path=path / candidate.path.relative_to(home))

    def _home(self, candidate: Candidate) -> Path:
        """Return the path of a product; of one that a file describes, the folder of that file."""
        described = candidate.path.name.lower().endswith(self.readers.files)
        return candidate.path.parent if described else candidate.path


def _files_of(asset: Asset) -> list[Path]:
    """Return the files that hold an asset; of an array in a zip, the zip."""
    return files_of(asset.href) if driver_of(asset.href) == ZARR else [asset.path]


def _listing(folder: Path) -> list[tuple[str, int, int]]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
