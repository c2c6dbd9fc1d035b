"""The clear-pixel rule, every bit of every mask separately."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from oso_pipeline.imagery.clear import ClearRule, clear_pixels
from oso_pipeline.imagery.muscate.quality import rules_of

NAMES = ("CLM_R1", "EDG_R1", "SAT_R1", "SAT_R2", "MG2_R1")


def clear(policy: object, **values: int) -> bool:
    masks = {name: np.array([values.get(name, 0)], dtype=np.uint8) for name in NAMES}
    return bool(clear_pixels(masks, rules_of(policy))[0])


def test_published_cases(shared_data: Path) -> None:
    oracle = json.loads((shared_data / "oracles.json").read_text())["masks"]["policy_oso"]
    assert len(oracle["cases"]) == 14
    for case in oracle["cases"]:
        given = {f"{name}_R1": case[name] for name in ("CLM", "SAT", "EDG", "MG2")}
        assert clear("oso", **given) == case["usable"], case
        bits = [bit for bit in range(8) if case["CLM"] >> bit & 1]
        assert bits == case["clm_bits"]


@pytest.mark.parametrize("bit", range(8))
class TestEachBit:
    def test_cloud(self, bit: int) -> None:
        value = 1 << bit
        assert not clear("oso", CLM_R1=value)
        assert not clear("conservative", CLM_R1=value)
        assert not clear((bit,), CLM_R1=value)
        others = tuple(other for other in range(8) if other != bit)
        assert clear(others, CLM_R1=value)
        assert not clear((bit,), CLM_R1=255)

    def test_saturation_of_10_m_bands(self, bit: int) -> None:
        assert not clear("oso", SAT_R1=1 << bit)
        assert not clear("conservative", SAT_R1=1 << bit)
        assert not clear((), SAT_R1=1 << bit)

    def test_saturation_of_20_m_bands_counts_only_when_conservative(self, bit: int) -> None:
        assert clear("oso", SAT_R2=1 << bit)
        assert clear((0, 1), SAT_R2=1 << bit)
        assert not clear("conservative", SAT_R2=1 << bit)

    def test_geophysical_mask(self, bit: int) -> None:
        assert clear("oso", MG2_R1=1 << bit)
        # 0 to 3: water, cloud, snow, shadow; 4 to 7: terrain.
        assert clear("conservative", MG2_R1=1 << bit) == (bit < 4)

    def test_edge(self, bit: int) -> None:
        for policy in ("oso", "conservative", ()):
            assert not clear(policy, EDG_R1=1 << bit)


def test_snow_stays_clear() -> None:
    assert clear("oso", MG2_R1=4)
    assert clear("conservative", MG2_R1=4)


def test_saturation_may_be_absent_but_cloud_and_edge_not() -> None:
    zero = np.zeros(1, dtype=np.uint8)
    assert clear_pixels({"CLM_R1": zero, "EDG_R1": zero}, rules_of("oso")).all()
    with pytest.raises(ValueError, match="EDG_R1"):
        clear_pixels({"CLM_R1": zero}, rules_of("oso"))
    with pytest.raises(ValueError, match="MG2_R1"):
        clear_pixels({"CLM_R1": zero, "EDG_R1": zero}, rules_of("conservative"))


def test_a_rule_of_values_hides_these_alone() -> None:
    """As in a scene classification, whose numbers are classes and not bits."""
    rule = ClearRule("SCL", values=(3, 8, 9))
    classes = np.arange(12, dtype=np.uint8)
    assert np.flatnonzero(~rule.allows(classes)).tolist() == [3, 8, 9]
    assert ClearRule.from_json(rule.to_json()) == rule


@pytest.mark.parametrize("policy", ["oso", "conservative", (0, 7), ()])
def test_rules_survive_json(policy: object) -> None:
    for rule in rules_of(policy):  # type: ignore[arg-type]
        assert ClearRule.from_json(json.loads(json.dumps(rule.to_json()))) == rule


def test_a_rule_has_bits_or_values_not_both() -> None:
    with pytest.raises(ValueError, match="expected one"):
        ClearRule("SCL", bits=(1,), values=(1,))
