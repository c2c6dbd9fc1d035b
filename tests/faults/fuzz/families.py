"""Damaged products of the other families of Sentinel-2, up to the copies of their images.

Each family has a season of its own of three products. As in `fuzz.inventories`, a damaged product
is used, or named with the reason, and never stops the others.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fuzz.case import Case
from fuzz.damage import DAMAGES, TIFF_DAMAGES, ZIP_DAMAGES, Damage
from fuzz.ground import Ground
from fuzz.inventories import evaluated
from fuzz.outcome import Outcome
from fuzz.seasons import N_PRODUCTS
from fuzz.texts import JSON_DAMAGES, XML_DAMAGES

_DAMAGES: Mapping[str, Mapping[str, Damage]] = {
    ".xml": XML_DAMAGES,
    ".json": JSON_DAMAGES,
    ".tif": TIFF_DAMAGES,
    ".zip": {name: one for name, one in ZIP_DAMAGES.items() if name != "zip_name"},
    "": DAMAGES,
}
"""By the end of the name; chunks of stores and JPEG 2000 files get any damage to bytes."""

_JSON = (".zmetadata", ".zattrs", ".zgroup", ".zarray")


def _is_metadata(path: Path) -> bool:
    return _end_of(path) in (".xml", ".json")


def _is_archive(path: Path) -> bool:
    return path.suffix == ".zip"


def _is_image(path: Path) -> bool:
    return not (_is_metadata(path) or _is_archive(path))


_PARTS: Mapping[str, tuple[Callable[[Path], bool], Sequence[str]]] = {
    "safe metadata": (_is_metadata, tuple(XML_DAMAGES)),
    "safe image": (_is_image, tuple(DAMAGES)),
    "safe archive": (_is_archive, tuple(_DAMAGES[".zip"])),
    "eopf metadata": (_is_metadata, tuple(JSON_DAMAGES)),
    "eopf image": (_is_image, tuple(DAMAGES)),
    "eopf archive": (_is_archive, tuple(_DAMAGES[".zip"])),
    "stac metadata": (_is_metadata, tuple(JSON_DAMAGES)),
    "stac image": (_is_image, tuple(TIFF_DAMAGES)),
    "l3a metadata": (_is_metadata, tuple(XML_DAMAGES)),
    "l3a image": (_is_image, tuple(TIFF_DAMAGES)),
    "l3a archive": (_is_archive, tuple(_DAMAGES[".zip"])),
}


@dataclass(frozen=True)
class DamagedFamily:
    """A file of a product is damaged; then the inventory and the copies of images are made."""

    weight: float
    is_whole: bool = False
    damages: ClassVar[Mapping[str, Sequence[str]]] = {
        target: damages for target, (_, damages) in _PARTS.items()
    }

    def run(self, case: Case, ground: Ground, folder: Path) -> Outcome:
        """Damage a file, run up to the copies, and count the products."""
        config = _season(case.target.split()[0], ground, folder)
        file = _chosen(case, config.parent / "products")
        damage = _DAMAGES[_end_of(file)][case.damage]
        file.write_bytes(damage(file.read_bytes(), case.draw()))
        names = set(_names(file, config.parent / "products"))
        return evaluated(config, names, "cache_check", N_PRODUCTS)


def _season(family: str, ground: Ground, folder: Path) -> Path:
    """Copy the season of a family into the folder of a case; return its configuration."""
    home = folder / "world"
    shutil.copytree(ground.families / family, home / "products")
    for name in ("labels.gpkg", "classes.csv", "oso.yaml"):
        shutil.copy2(ground.world / name, home / name)
    return home / "oso.yaml"


def _chosen(case: Case, products: Path) -> Path:
    """Return the file that a case damages; all kinds of names are as likely as each other."""
    belongs = _PARTS[case.target][0]
    files = sorted(path for path in products.rglob("*") if path.is_file() and belongs(path))
    draw = case.draw()
    kind = draw.choice(sorted({path.suffix or "chunk" for path in files}))
    return draw.choice([path for path in files if (path.suffix or "chunk") == kind])


def _end_of(path: Path) -> str:
    if path.name in _JSON:
        return ".json"
    return path.suffix if path.suffix in _DAMAGES else ""


def _names(file: Path, products: Path) -> Iterator[str]:
    """Yield the words of a message that name a file: its own name, its product, its folders."""
    for part in (file, *file.parents):
        if part == products:
            return
        yield part.name
        yield part.stem
