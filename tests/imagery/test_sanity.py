"""Products of a season that were made in different ways."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.inventories import A, B, make_config, run
from support.muscate_factory import Muscate

from oso_pipeline.core.errors import Problems
from oso_pipeline.imagery.acquisition import Acquisition
from oso_pipeline.imagery.processing import Processing
from oso_pipeline.imagery.sanity import check_alike


def season(made: Iterable[Processing], version: str = "") -> list[Acquisition]:
    start = datetime(2018, 1, 1, 10, 54, tzinfo=UTC)
    return [
        Acquisition(
            f"P{number}", "31TCJ", start + timedelta(days=10 * number), "S2A", "toy", version,
            {}, {}, (), processing=one,
        )
        for number, one in enumerate(made)
    ]  # fmt: skip


def found(used: list[Acquisition]) -> Problems:
    problems = Problems()
    check_alike(used, "31TCJ", problems)
    return problems


def test_products_made_alike_or_that_do_not_say_are_no_finding() -> None:
    one = Processing(processor="Sen2Cor", processor_version="2.11", baseline="05.11", cams=True)
    minor = Processing(processor="Sen2Cor", processor_version="2.9", baseline="05.11", cams=True)
    assert not found(season([one, one, minor])).warnings
    assert not found(season([one, Processing(processor="Sen2Cor"), one])).warnings
    assert not found(season([Processing()] * 3)).warnings
    # As SAFE and STAC beside EOPF Zarr, which alone states the processor.
    unstated = season([Processing(baseline="05.11")] * 2, version="05.11")
    assert not found(season([one]) + unstated).warnings


@pytest.mark.parametrize(
    ("first", "second", "code", "said"),
    [
        (
            Processing(baseline="02.12"),
            Processing(baseline="05.00"),
            "W-SEASON-BASELINES",
            "02.12: 6 products (2018-01-01 to 2018-02-20); 05.00: 2 products (2018-03-02, ",
        ),
        (
            Processing(processor="Sen2Cor", processor_version="2.11"),
            Processing(processor="Sen2Cor", processor_version="3.0"),
            "W-SEASON-PROCESSORS",
            "Sen2Cor 2: 6 products (2018-01-01 to 2018-02-20); Sen2Cor 3: 2 products",
        ),
        (
            Processing(cams=True),
            Processing(cams=False),
            "W-SEASON-CAMS",
            "with CAMS: 6 products (2018-01-01 to 2018-02-20); without CAMS: 2 products",
        ),
    ],
)
def test_a_mixed_season_is_a_warning_with_numbers_and_dates(
    first: Processing, second: Processing, code: str, said: str
) -> None:
    (warning,) = found(season([first] * 6 + [second] * 2)).warnings
    assert warning.code == code
    assert said in warning.message


def test_versions_of_products_stand_for_those_of_a_processor_that_is_not_stated() -> None:
    used = season([Processing()] * 2, version="2.2") + season([Processing()] * 2, version="3.0")
    (warning,) = found(used).warnings
    assert "toy 2: 2 products (2018-01-01, 2018-01-11); toy 3" in warning.message


def test_the_inventory_warns_of_cams_and_versions(tmp_path: Path) -> None:
    Muscate(A, cams="Activated_OK").write(tmp_path / "images")
    other = B.replace("V2-2", "V3-0")
    Muscate(other, cams="Deactivated").write(tmp_path / "images")
    _, summary = run(make_config(tmp_path))
    codes = [text.partition("]")[0].partition("[")[2] for text in summary["warnings"]]
    assert codes == ["W-SEASON-PROCESSORS", "W-SEASON-CAMS"]
