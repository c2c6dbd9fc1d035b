"""Quality layers that hide next to nothing of a cloudy scene, and what is not taken for one."""

from __future__ import annotations

import numpy as np

from oso_pipeline.imagery.mask_guard import LEAST_DATES, LEAST_PIXELS, Brightness
from oso_pipeline.imagery.mask_guard import compare_brightness as compare

N, PIXELS = 12, 1000


class Season:
    """Land of blue 0.05 and short-wave infrared 0.2, all of it clear."""

    def __init__(self, blue: float = 0.05, infrared: float = 0.2) -> None:
        rng = np.random.default_rng(1)
        self.blue = np.full((N, PIXELS), blue) + rng.normal(0, 0.01, (N, PIXELS))
        self.infrared = np.full((N, PIXELS), infrared) + rng.normal(0, 0.02, (N, PIXELS))
        self.clear = np.ones((N, PIXELS), bool)

    def cover(self, date: int, blue: float, infrared: float, share: float = 1.0) -> None:
        some = slice(int(share * PIXELS))
        self.blue[date, some], self.infrared[date, some] = blue, infrared

    def found(self) -> Brightness:
        return compare(self.blue, self.infrared, self.clear)


def test_clouds_that_are_not_hidden_are_found_with_their_numbers() -> None:
    season = Season()
    season.cover(3, 0.5, 0.4)
    season.cover(5, 0.9, 0.3)  # ice clouds: dark in short-wave infrared, but less so than snow
    season.cover(7, 0.5, 0.4, share=0.4)
    found = season.found()
    assert found.unmasked == (3, 5, 7)
    np.testing.assert_allclose(found.normal, 0.05, atol=0.01)
    np.testing.assert_allclose(found.blue[[3, 5]], (0.5, 0.9))
    np.testing.assert_allclose(found.like_cloud[[3, 7]], (1, 0.4))


def test_snow_bright_land_hidden_clouds_and_few_clouds_are_no_finding() -> None:
    season = Season()
    season.cover(1, 0.7, 0.08)  # fresh snow
    season.cover(2, 0.4, 0.15)  # old snow
    season.cover(3, 0.5, 0.4)
    season.clear[3, :800] = False
    season.cover(4, 0.5, 0.4, share=0.2)
    season.cover(5, 0.14, 0.3)  # haze
    assert season.found().unmasked == ()
    assert Season(0.3, 0.5).found().unmasked == ()  # salt or sand the whole year


def test_too_few_dates_or_pixels_are_no_finding() -> None:
    season = Season()
    season.cover(0, 0.5, 0.4)
    few = slice(LEAST_DATES - 1)
    assert compare(season.blue[few], season.infrared[few], season.clear[few]).unmasked == ()
    season.blue[0, LEAST_PIXELS - 1 :] = np.nan
    assert season.found().unmasked == ()


def test_where_no_product_has_a_mask_the_dark_dates_show_the_land() -> None:
    season = Season()
    for date in range(6):
        season.cover(date, 0.5, 0.4)
    assert season.found().unmasked == tuple(range(6))
