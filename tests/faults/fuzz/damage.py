"""Damage to the bytes of a file: each a function of the content and a seeded draw."""

from __future__ import annotations

import random
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO

Damage = Callable[[bytes, random.Random], bytes]

_ODD_WORDS = (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x00\x00\x00\x00")
_HEAD = 400
"""Bytes at the begin, where formats keep what they say of themselves."""


def flip_bits(content: bytes, draw: random.Random) -> bytes:
    """Flip some bits anywhere."""
    changed = bytearray(content or b"\0")
    for _ in range(draw.choice((1, 1, 2, 8))):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def spoil_head(content: bytes, draw: random.Random) -> bytes:
    """Write noise over some bytes of the head."""
    changed = bytearray(content or b"\0")
    for _ in range(draw.choice((1, 1, 2, 4))):
        changed[draw.randrange(min(_HEAD, len(changed)))] = draw.randrange(256)
    return bytes(changed)


def spoil_tail(content: bytes, draw: random.Random) -> bytes:
    """Write noise over some bytes of the tail."""
    changed = bytearray(content or b"\0")
    for _ in range(draw.choice((1, 1, 2, 4))):
        changed[-1 - draw.randrange(min(_HEAD, len(changed)))] = draw.randrange(256)
    return bytes(changed)


def odd_word(content: bytes, draw: random.Random) -> bytes:
    """Put an extreme number where four bytes of the head are."""
    at = draw.randrange(max(1, min(_HEAD, len(content)) - 4))
    return content[:at] + draw.choice(_ODD_WORDS) + content[at + 4 :]


def cut(content: bytes, draw: random.Random) -> bytes:
    """Cut the file anywhere."""
    return content[: draw.randrange(max(1, len(content)))]


def cut_little(content: bytes, draw: random.Random) -> bytes:
    """Cut off the last bytes."""
    return content[: -draw.randint(1, 40)]


def empty(content: bytes, draw: random.Random) -> bytes:
    """Leave nothing."""
    return b""


def tail_of_zeros(content: bytes, draw: random.Random) -> bytes:
    """Let the end be zeros, as after a power cut: the size is right."""
    kept = draw.randrange(max(1, len(content)))
    return content[:kept] + bytes(len(content) - kept)


def hole(content: bytes, draw: random.Random) -> bytes:
    """Take a piece away from the middle."""
    at = draw.randrange(max(1, len(content)))
    return content[:at] + content[at + draw.randint(1, 64) :]


def insert_noise(content: bytes, draw: random.Random) -> bytes:
    """Put noise into the middle."""
    at = draw.randrange(len(content) + 1)
    return content[:at] + draw.randbytes(draw.randint(1, 64)) + content[at:]


def append_noise(content: bytes, draw: random.Random) -> bytes:
    """Append noise."""
    return content + draw.randbytes(draw.choice((1, 100, 5000)))


def twice(content: bytes, draw: random.Random) -> bytes:
    """Write the content twice."""
    return content + content


def web_page(content: bytes, draw: random.Random) -> bytes:
    """Replace the file by what a web server says."""
    return b"<!DOCTYPE html><html><head><title>404</title></head><body>Not found</body></html>"


def noise(content: bytes, draw: random.Random) -> bytes:
    """Replace the file by noise of the same size."""
    return draw.randbytes(len(content))


DAMAGES: dict[str, Damage] = {
    function.__name__: function
    for function in (flip_bits, spoil_head, spoil_tail, odd_word, cut, cut_little, empty,
                     tail_of_zeros, hole, insert_noise, append_noise, twice, web_page, noise)
}  # fmt: skip


def tiff_entry(content: bytes, draw: random.Random) -> bytes:
    """Change a field of an entry of the first directory of a TIFF."""
    changed = bytearray(content)
    order = "<" if content[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", content, 4)
    (entries,) = struct.unpack_from(order + "H", content, at)
    entry = at + 2 + 12 * draw.randrange(entries)
    part = draw.choice(("tag", "type", "count", "value", "value"))
    if part in ("tag", "type"):
        struct.pack_into(order + "H", changed, entry + 2 * (part == "type"), draw.randrange(65536))
    else:
        number = draw.choice((0, 1, 2, 7, 1000, 65535, 2**31 - 1, 2**32 - 1, draw.getrandbits(32)))
        struct.pack_into(order + "I", changed, entry + (4 if part == "count" else 8), number)
    return bytes(changed)


def tiff_loop(content: bytes, draw: random.Random) -> bytes:
    """Let the directories of a TIFF follow one another in a circle."""
    changed = bytearray(content)
    order = "<" if content[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", content, 4)
    (entries,) = struct.unpack_from(order + "H", content, at)
    struct.pack_into(order + "I", changed, at + 2 + 12 * entries, at)
    return bytes(changed)


TIFF_DAMAGES: dict[str, Damage] = {
    **DAMAGES, "tiff_entry": tiff_entry, "tiff_entry_again": tiff_entry, "tiff_loop": tiff_loop,
}  # fmt: skip


def zip_record(content: bytes, draw: random.Random) -> bytes:
    """Change bytes of a record of the central directory of a zip, or of its end."""
    marks = [at for mark in (b"PK\1\2", b"PK\5\6", b"PK\3\4") for at in _all(content, mark)]
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2))):
        at = draw.choice(marks) + draw.randrange(4, 30)
        if at < len(changed):
            changed[at] = draw.choice((0, 1, 9, 63, 99, 255, draw.randrange(256)))
    return bytes(changed)


def zip_name(content: bytes, draw: random.Random) -> bytes:
    """Change a letter of a name in a zip."""
    changed = bytearray(content)
    at = draw.choice(list(_all(content, b"SENTINEL2A")))
    changed[at + draw.randrange(30)] = draw.choice((0, 10, 47, 92, 255, draw.randrange(256)))
    return bytes(changed)


_ODD_NAMES = (
    "../../above.tif", "/etc/absolute.tif", "C:\\windows.tif", "a/" * 300 + "b", "__MACOSX/._x.tif",
    "\x1b[2J.xml", "deep/" * 40 + "x.xml", "con", "\ud800",
)  # fmt: skip


def zip_member(content: bytes, draw: random.Random) -> bytes:
    """Write the zip again with an odd member more."""
    out = BytesIO(content)
    name = draw.choice(_ODD_NAMES)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr(zipfile.ZipInfo(name.encode(errors="replace").decode()), b"odd")
    return out.getvalue()


_LARGE = (".xml", ".tif", ".jp2", ".zmetadata")


def zip_bomb(content: bytes, draw: random.Random) -> bytes:
    """Write the zip again with all that it holds, deflated, and a member of 300 MB of zeros."""
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as old, zipfile.ZipFile(out, "w") as archive:
        names = old.namelist()
        swollen = draw.choice([name for name in names if name.endswith(_LARGE)])
        for name in names:
            if name == swollen:
                with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
                    member.write(bytes(1000))
            else:
                archive.writestr(name, old.read(name))
    return out.getvalue()


def zip_in_zip(content: bytes, draw: random.Random) -> bytes:
    """Pack the zip into another one."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("inner.zip", content)
    return out.getvalue()


def _all(content: bytes, mark: bytes) -> list[int]:
    found, at = [], content.find(mark)
    while at >= 0:
        found.append(at)
        at = content.find(mark, at + 1)
    return found


ZIP_DAMAGES: dict[str, Damage] = {
    **DAMAGES, "zip_record": zip_record, "zip_record_again": zip_record, "zip_name": zip_name,
    "zip_member": zip_member, "zip_bomb": zip_bomb, "zip_in_zip": zip_in_zip,
}  # fmt: skip
