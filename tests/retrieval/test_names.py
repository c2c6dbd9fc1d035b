"""What names of products say is what the readers understand of them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from support.catalogues import muscate_name, safe_name
from support.stac_factory import write

from oso_pipeline.config.readers import built_in_readers
from oso_pipeline.imagery.readers import Readers
from oso_pipeline.imagery.stac.documents import items_at
from oso_pipeline.retrieval.names import bare_name, named, named_item

DAY = date(2018, 5, 1)
SYNTHESIS = "SENTINEL2X_20180515-000000-000_L3A_T31TCJ_D_V1-1"


@pytest.mark.parametrize(
    ("family", "name"),
    [("muscate", muscate_name(DAY)), ("safe", safe_name(DAY)), ("l3a", SYNTHESIS)],
)
def test_a_name_says_what_the_reader_finds(tmp_path: Path, family: str, name: str) -> None:
    folder = tmp_path / (f"{name}.SAFE" if family == "safe" else name)
    folder.mkdir()
    (candidate,) = Readers.of(built_in_readers())[family].recognise(folder)  # type: ignore[misc]
    found = named(family, folder.name)
    assert found is not None
    for part in ("product_id", "tile", "acquired", "observation", "rank", "platform"):
        assert getattr(found, part) == getattr(candidate, part)


def test_an_item_says_what_the_reader_finds(tmp_path: Path) -> None:
    path = write(tmp_path)
    ((_, item),) = items_at(path).items
    (candidate,) = Readers.of(built_in_readers())["stac"].recognise(path)  # type: ignore[misc]
    import json

    known = named_item(json.loads(path.read_text()))
    assert known is not None
    found, same = known
    assert same == item
    for part in ("product_id", "tile", "acquired", "observation", "rank", "platform"):
        assert getattr(found, part) == getattr(candidate, part)


@pytest.mark.parametrize(
    ("family", "name"),
    [
        ("muscate", SYNTHESIS), ("l3a", muscate_name(DAY)), ("safe", muscate_name(DAY)),
        ("safe", safe_name(DAY).replace("MSIL2A", "MSIL1C")), ("muscate", ""), ("unknown", "x"),
        ("muscate", "LANDSAT8-OLITIRS-XS_20180101-105435-000_L2A_T31TCJ_D_V1-4"),
        ("muscate", muscate_name(DAY).replace("20180501", "20181301")), ("safe", "../../etc"),
        ("muscate", muscate_name(DAY).replace("_T31TCJ", "_SUDOUE-4")),
    ],
)  # fmt: skip
def test_what_the_family_does_not_read_is_no_name(family: str, name: str) -> None:
    assert named(family, name) is None


def test_ends_of_files_and_folders_do_not_matter() -> None:
    for text in ("A/B.SAFE", "B.zip", "B.SAFE.zip", "B/", " B "):
        assert bare_name(text) == "B"
