"""What may lie among products: odd names, links, devices, products in part or twice."""

from __future__ import annotations

import os
import random
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

Oddity = Callable[[Path, random.Random], set[str]]
"""Changes the folder of the products; returns the words that name what was changed."""


def _one(products: Path, draw: random.Random, pattern: str = "SENTINEL2*") -> Path:
    return draw.choice(sorted(products.glob(pattern)))


def has_other_tile(products: Path) -> bool:
    """Tell whether a product says by its name that it is of a tile that nobody asked for."""
    return any("T31TDJ" in path.name for path in products.iterdir())


def _named(path: Path) -> set[str]:
    return {path.name, path.name.removesuffix(".zip")}


def file_lost(products: Path, draw: random.Random) -> set[str]:
    """Lose a file of a product."""
    home = draw.choice([path for path in sorted(products.iterdir()) if path.is_dir()])
    lost = draw.choice(sorted(path for path in home.rglob("*") if path.is_file()))
    lost.unlink()
    return _named(home)


def file_is_folder(products: Path, draw: random.Random) -> set[str]:
    """Let a folder bear the name of a file."""
    home = draw.choice([path for path in sorted(products.iterdir()) if path.is_dir()])
    lost = draw.choice(sorted(path for path in home.rglob("*") if path.is_file()))
    lost.unlink()
    lost.mkdir()
    return _named(home)


def file_is_pipe(products: Path, draw: random.Random) -> set[str]:
    """Let a pipe that nobody writes to bear the name of a file."""
    home = draw.choice([path for path in sorted(products.iterdir()) if path.is_dir()])
    lost = draw.choice(sorted(path for path in home.rglob("*") if path.is_file()))
    lost.unlink()
    os.mkfifo(lost)
    return _named(home)


def file_is_link(products: Path, draw: random.Random) -> set[str]:
    """Let a link to a device, to itself or to nothing bear the name of a file."""
    home = draw.choice([path for path in sorted(products.iterdir()) if path.is_dir()])
    lost = draw.choice(sorted(path for path in home.rglob("*") if path.is_file()))
    lost.unlink()
    lost.symlink_to(draw.choice(("/dev/zero", lost.name, "nowhere", "/", "/dev/full")))
    return _named(home)


def archive_is_odd(products: Path, draw: random.Random) -> set[str]:
    """Let an archive be a folder, a pipe, a link or a device."""
    archive = _one(products, draw, "*.zip")
    archive.unlink()
    odd = draw.randrange(3)
    if odd == 0:
        archive.mkdir()
    elif odd == 1:
        os.mkfifo(archive)
    else:
        archive.symlink_to(draw.choice(("/dev/zero", archive.name, "nowhere", ".")))
    return _named(archive)


def links_in_a_circle(products: Path, draw: random.Random) -> set[str]:
    """Let folders link to one another."""
    (products / "a").mkdir()
    (products / "a" / "up").symlink_to("..")
    (products / "a" / "self").symlink_to(".")
    return {"a", "up", "self"}


def many_folders(products: Path, draw: random.Random) -> set[str]:
    """Lay a thousand empty folders and files beside the products."""
    for n in range(1000):
        (products / f"d{n % 30}" / f"e{n % 7}").mkdir(parents=True, exist_ok=True)
        (products / f"d{n % 30}" / f"f{n}.txt").touch()
    return {"d1"}


def renamed(products: Path, draw: random.Random) -> set[str]:
    """Rename a product, a little or entirely."""
    one = _one(products, draw)
    suffix = one.suffix if one.is_file() else ""
    new = draw.choice((
        one.name.replace("T31TCJ", "T31TDJ"), one.name.replace("2018", "2081"), f"x{suffix}",
        one.name.replace("L2A", "L1C"), one.name.lower(), f"{one.stem} (1){suffix}",
        one.name.replace("C_V2-2", "C_V9-9"), f"{one.stem}\x1b[31m{suffix}", f"{one.stem}é{suffix}",
        one.name.replace("-105435-457", ""), f"{one.stem}.SAFE{suffix}", f"{one.stem}\n{suffix}",
    ))  # fmt: skip
    one.rename(products / new)
    return {one.name.removesuffix(".zip"), new.removesuffix(".zip")}


def name_no_text(products: Path, draw: random.Random) -> set[str]:
    """Give a product a name that is not a text in any encoding."""
    one = _one(products, draw)
    suffix = one.suffix if one.is_file() else ""
    to = os.fsencode(products) + b"/" + os.fsencode(one.stem) + b"\xff\xfe" + suffix.encode()
    os.rename(os.fsencode(one), to)
    return _named(one)


def twice(products: Path, draw: random.Random) -> set[str]:
    """Lay a product a second time, elsewhere or as another version."""
    home = draw.choice([path for path in sorted(products.iterdir()) if path.is_dir()])
    (products / "again").mkdir()
    shutil.copytree(home, products / "again" / home.name)
    return _named(home)


def half_there(products: Path, draw: random.Random) -> set[str]:
    """Lose half of the files of a product, as a broken download does."""
    home = draw.choice([path for path in sorted(products.iterdir()) if path.is_dir()])
    files = sorted(path for path in home.rglob("*") if path.is_file())
    for path in draw.sample(files, len(files) // 2):
        path.unlink()
    return _named(home)


def files_of_another(products: Path, draw: random.Random) -> set[str]:
    """Put the files of a product into the folder of another one."""
    homes = [path for path in sorted(products.iterdir()) if path.is_dir()]
    one, other = draw.sample(homes, 2)
    for path in sorted(one.rglob("*")):
        if path.is_file():
            shutil.copy(path, other / path.name)
    shutil.rmtree(one)
    return _named(one) | _named(other)


def packed_in_tar(products: Path, draw: random.Random) -> set[str]:
    """Pack a product into a tar, whole or cut."""
    home = draw.choice([path for path in sorted(products.iterdir()) if path.is_dir()])
    packed = products / f"{home.name}.tar{draw.choice(('', '.gz'))}"
    with tarfile.open(packed, "w:gz" if packed.suffix == ".gz" else "w") as archive:
        archive.add(home, home.name)
    shutil.rmtree(home)
    if draw.random() < 0.5:
        os.truncate(packed, packed.stat().st_size // 2)
    return _named(home)


ODDITIES: dict[str, Oddity] = {
    function.__name__: function
    for function in (file_lost, file_is_folder, file_is_pipe, file_is_link, archive_is_odd,
                     links_in_a_circle, many_folders, renamed, name_no_text, twice, half_there,
                     files_of_another, packed_in_tar)
}  # fmt: skip
