"""Finding products below the folders of the configuration."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from oso_pipeline.core.errors import Problems
from oso_pipeline.core.regular_files import real_place
from oso_pipeline.imagery.acquisition import REASONS
from oso_pipeline.imagery.archive import ArchiveError, member_names
from oso_pipeline.imagery.file_names import is_clutter, is_folder, is_packed, is_text
from oso_pipeline.imagery.findings import Findings, Unknown
from oso_pipeline.imagery.protocol import Candidate
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.zarr.store import is_store

MAX_DEPTH = 8
"""At most this many folders lie between a path of the configuration and a product."""
MAX_WITHOUT_PRODUCT = 10_000
"""A search ends after so many folders and archives without a product, besides the `MAX_DEPTH` that
each product may lie below: a path such as ``/`` was probably not meant."""

_UNFINISHED = re.compile(
    r"\.(zip|tar|tgz|gz|7z)\.(part|partial|crdownload|download|filepart|aria2)$", re.IGNORECASE
)
_IMAGES = (".tif", ".tiff", ".jp2")
_STRAYING = "images beside the products that belong to none of them"
_CLOSED = (".safe", ".zarr")  # folders that are not entered unless a reader recognises them
_FORMATS = {
    "safe": re.compile(r"(\.safe)$", re.IGNORECASE),
    "l3a": re.compile(r"^SENTINEL2[A-Z]_.+_(L3A)_T\d\d"),
    "eopf": re.compile(r"(\.zarr)$", re.IGNORECASE),
}
"""Names of folders and zips that hold a product of a format, by the kind of reader that reads such
products. Without it they are named and not entered."""


class _TooWide(Exception):
    """Too many folders and files without a product."""


def find_products(folders: Iterable[Path], readers: Readers, problems: Problems) -> Findings:
    """Look for products below `folders`.

    Of a folder that holds a product, what belongs to the product is not entered, so that this
    stays fast with thousands of products. A folder that does not exist is reported to `problems`,
    and one that holds too much else (``E-IMAGE-FOLDERS``).
    In place of a folder, a file may be named that describes products for one of the readers.
    """
    search = _Search(readers)
    for folder in dict.fromkeys(folders):
        if folder.is_file() and folder.name.lower().endswith(readers.files):
            search.file(folder)
            continue
        if not folder.is_dir():
            what = "is a file, not a folder" if folder.exists() else "does not exist"
            problems.error(
                "E-PATH-MISSING",
                f"the folder of images {what}: {folder.absolute()}",
                folder,
                "correct `imagery.paths`; relative paths count from the configuration file",
            )
            continue
        search.above(folder)
        try:
            search.folder(folder, 0, is_known=False)
        except _TooWide as error:
            problems.error(
                "E-IMAGE-FOLDERS",
                f"the search of {folder.absolute()} ended: {error}",
                folder,
                "name the folders that hold the products in `imagery.paths`",
            )
    problems.extend(readers.check(search.candidates))
    return Findings(
        tuple(dict.fromkeys(search.candidates)), tuple(dict.fromkeys(search.without_products()))
    )


@dataclass(frozen=True, slots=True)
class _Stray:
    """Images of a folder that no product beside them has a part in.

    Parameters
    ----------
    place
        How many findings are listed before it.
    folder, images
        The folder, and names in it.
    beside_products
        Whether there are products in the folder.
    """

    place: int
    folder: Path
    images: list[str]
    beside_products: bool


@dataclass
class _Search:
    """A walk through folders, and what it came upon."""

    readers: Readers
    candidates: list[Candidate] = field(default_factory=list)
    unrecognised: list[Unknown] = field(default_factory=list)
    _stray: list[_Stray] = field(default_factory=list)
    _describing: list[Path] = field(default_factory=list)
    _entered: set[tuple[int, int]] = field(default_factory=set)
    _above: set[tuple[int, int]] = field(default_factory=set)
    _looked_into: int = 0

    def above(self, folder: Path) -> None:
        """Take note of the folders above one that is searched: no link makes images of them."""
        self._above = set()
        for parent in real_place(folder).parents:
            with suppress(OSError):
                self._above.add(_identity(parent.stat()))

    def folder(self, folder: Path, depth: int, is_known: bool) -> None:
        """Look for products in a folder, and below it.

        Parameters
        ----------
        folder, depth
            The folder, and how many lie above it below that of the configuration.
        is_known
            Whether a folder above holds a product or is named as not recognised: images here
            belong to that one.
        """
        try:
            status = folder.stat()
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self._unknown(folder, f"cannot be opened: {error.strerror}")
            return
        identity = _identity(status)
        if identity in self._entered:
            return  # links may lead in circles
        if depth and identity in self._above:
            self._unknown(folder, "a link to a folder above the images; it was not searched")
            return
        self._entered.add(identity)
        self._count(folder)
        products = self.readers.recognise(folder)
        self.candidates += products
        if any(not product.stem for product in products):
            return  # it is one product as a whole
        kept = [entry for entry in found if not is_clutter(entry.name)]
        if not products and is_store(entry.name for entry in found):
            self._unknown(folder, "a Zarr store that holds no known product")
            return  # of thousands of folders
        images = _without_product([e.name for e in kept], products)
        if images and not is_known:
            self._stray.append(_Stray(len(self.unrecognised), folder, images, bool(products)))
        is_known = is_known or bool(products or images)
        own = self.readers.folders if products else ()
        for entry in kept:
            if not is_text(entry.name):
                shown = entry.path.encode("utf-8", "backslashreplace").decode()
                self._unknown(Path(shown), "its name is not UTF-8; rename it")
            elif not is_folder(entry):
                if self._may_hold_products(entry.name):
                    self.file(Path(entry.path))
            elif entry.name.upper() not in own:
                self.below(Path(entry.path), depth + 1, is_known)

    def below(self, folder: Path, depth: int, is_known: bool) -> None:
        """Enter a folder, unless it lies too deep or is of a format known to be another."""
        if depth > MAX_DEPTH + 1:
            self._unknown(folder, f"lies deeper than {MAX_DEPTH} folders and was not searched")
        elif (detail := self._closed(folder)) and not self.readers.recognise(folder):
            self._unknown(folder, detail)
        else:
            before = len(self.candidates) + len(self.unrecognised)
            self.folder(folder, depth, is_known)
            found = len(self.candidates) + len(self.unrecognised) - before
            if not found and (folder.suffix.lower() == ".zip" or is_packed(folder.name)):
                self._unknown(folder, "a folder with the name of an archive that holds no product")

    def _count(self, path: Path) -> None:
        """Count a folder or archive; raise `_TooWide` if there are too many for what was found."""
        self._looked_into += 1
        n_found = len(self.candidates)
        if self._looked_into > MAX_WITHOUT_PRODUCT + (MAX_DEPTH + 1) * n_found:
            raise _TooWide(
                f"{self._looked_into - 1:,} folders and archives held {n_found:,} products, "
                f"and more follow (next {path})"
            )

    def _closed(self, folder: Path) -> str:
        """Return what to say of a folder that is not entered unless a product; empty if it is."""
        is_closed = folder.suffix.lower() in _CLOSED
        return self._without_reader(folder.name) or REASONS["not_recognised"] * is_closed

    def _without_reader(self, name: str) -> str:
        """Return which setting reads products of a format that no reader is there for.

        Empty for a name that tells of no such format.
        """
        for kind, pattern in _FORMATS.items():
            if kind not in self.readers.families and (match := pattern.search(name)):
                setting = f"`imagery.readers: [{{kind: {kind}}}]`"
                return f"a product of another format ({match[1]}); {setting} reads it"
        return ""

    def _may_hold_products(self, name: str) -> bool:
        """Return whether `file` looks at a file of this name; a path is only made of such."""
        ends = (".zip", *self.readers.files)
        return name.lower().endswith(ends) or is_packed(name) or bool(_UNFINISHED.search(name))

    def file(self, path: Path) -> None:
        """Look for products in an archive, or in a file that describes some."""
        if is_packed(path.name):
            detail = f"a packed file ({path.suffix}); unpack it"
            self.unrecognised.append(Unknown(path, "packed", detail))
        elif _UNFINISHED.search(path.name):
            self._unknown(path, "a download that did not end")
        elif path.suffix.lower() == ".zip":
            self._count(path)
            products = self.readers.recognise(path)
            self.candidates += products
            if all(product.stem for product in products):
                self._rest_of_zip(path, products)
        elif path.name.lower().endswith(self.readers.files):
            self._count(path)
            self._describing.append(path)
            self.candidates += self.readers.recognise(path)
            self.unrecognised += [Unknown(path, *fault) for fault in self.readers.faults(path)]

    def _rest_of_zip(self, path: Path, products: tuple[Candidate, ...]) -> None:
        """Name what a zip holds beside its products, or what it is without any."""
        try:
            names = member_names(path)
        except (ArchiveError, OSError) as error:
            self._unknown(path, str(error))
            return
        packed = [n for n in names if n.lower().endswith(".zip") or is_packed(n)]
        if packed:
            detail = f"holds packed files ({PurePosixPath(packed[0]).name} ...); unpack it"
            self.unrecognised.append(Unknown(path, "packed", detail))
        elif not products and (detail := self._without_reader(path.stem)):
            self._unknown(path, detail)
        elif images := _without_product(names, products):
            self._unknown(path, _stray_images(images) if products else REASONS["not_recognised"])
        elif not products:
            self._unknown(path)

    def without_products(self) -> list[Unknown]:
        """Return what is not recognised, without the images that are described elsewhere."""
        if not self._stray and not self.unrecognised:
            return []
        named = {image for path in self._describing for image in self.readers.images(path)}
        above = {folder for image in named for folder in image.parents}
        found, begin = list[Unknown](), 0
        for stray in self._stray:
            found += self.unrecognised[begin : stray.place]
            begin = stray.place
            rest = [name for name in stray.images if _within(stray.folder, name) not in named]
            if rest:
                is_rest = stray.beside_products or len(rest) < len(stray.images)
                detail = _stray_images(rest) if is_rest else REASONS["not_recognised"]
                found.append(Unknown(stray.folder, "not_recognised", detail))
        found += self.unrecognised[begin:]
        return [
            one
            for one in found
            if one.detail.startswith(_STRAYING) or _within(one.path, "") not in above
        ]

    def _unknown(self, path: Path, detail: str = REASONS["not_recognised"]) -> None:
        self.unrecognised.append(Unknown(path, "not_recognised", detail))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _without_product(names: Iterable[str], products: tuple[Candidate, ...]) -> list[str]:
    """Return the images that none of the products beside them has a part in, by their stems."""
    own = tuple(product.stem for product in products if product.stem.endswith("/"))
    names = [name for name in names if not (own and name.startswith(own))]
    stems = tuple({PurePosixPath(product.stem).name.casefold() for product in products})
    bare = (PurePosixPath(name).name for name in names)
    return [
        name
        for name in bare
        if name.lower().endswith(_IMAGES) and not name.casefold().startswith(stems)
    ]


def _stray_images(images: list[str]) -> str:
    more = f" and {len(images) - 1} more" if len(images) > 1 else ""
    return f"{_STRAYING}: {images[0]}{more}"


def _within(folder: Path, name: str) -> Path:
    return Path(os.path.normpath(folder.absolute() / name))
