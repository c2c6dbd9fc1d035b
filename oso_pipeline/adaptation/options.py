"""The numbers that steer adaptation, with the defaults that were measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AdaptationOptions:
    """Options of all methods; each takes those it needs.

    Parameters
    ----------
    max_shift_days, shift_step_days
        Shifts tried: from minus to plus the first, in steps of the second.
    shift_prior_sd_days
        Standard deviation of the shifts expected between years.
    time_jitter_days
        Standard deviation of the random delays in training.
    gain_jitter, offset_jitter
        Standard deviation of the random stretch (of its logarithm) and of the random offset (in
        standard deviations of the band).
    pseudo_label_fraction
        Share of the target samples of each predicted class that may teach, the surest first.
    pseudo_label_agreement
        Whether two forests must agree on a pseudo-label.
    pseudo_label_neighbours
        Most target samples, the nearest and itself, whose predictions together make the
        pseudo-label of one; one for each 60 samples. 1: itself alone.
    student_rounds
        Students in a row; all but the last help to choose what the next one learns.
    source_weight
        Weight of all samples of past years in the student, relative to that of the pseudo-labels.
    min_anchor_polygons
        From this many polygons of the target year on, a perennial class needs no samples of past
        years.
    min_source_polygons
        With fewer polygons of past years the gate stays shut: pixels of a few fields look like
        many samples and describe these fields only.
    gate_min_shift_days, gate_min_discrepancy, gate_min_accuracy_drop
        The gate opens at a shift of the first, or where the second and third are both reached.
    gate_large_discrepancy
        From here on the discrepancy opens the gate alone.

    Raises
    ------
    ValueError
        If a number lies outside its range.
    """

    max_shift_days: int = 60
    shift_step_days: int = 5
    shift_prior_sd_days: float = 25.0
    time_jitter_days: float = 10.0
    gain_jitter: float = 0.10
    offset_jitter: float = 0.10
    pseudo_label_fraction: float = 0.85
    pseudo_label_agreement: bool = True
    pseudo_label_neighbours: int = 10
    student_rounds: int = 2
    source_weight: float = 0.3
    min_anchor_polygons: int = 30
    min_source_polygons: int = 30
    gate_min_shift_days: float = 4.0
    gate_min_discrepancy: float = 0.2
    gate_min_accuracy_drop: float = 0.05
    gate_large_discrepancy: float = 0.6

    def __post_init__(self) -> None:
        positive = (
            "shift_step_days",
            "shift_prior_sd_days",
            "pseudo_label_fraction",
            "pseudo_label_neighbours",
            "student_rounds",
        )
        for name in (
            *positive,
            "max_shift_days",
            "time_jitter_days",
            "gain_jitter",
            "offset_jitter",
            "source_weight",
            "min_anchor_polygons",
            "min_source_polygons",
        ):
            value = getattr(self, name)
            if value < 0 or (name in positive and value == 0):
                raise ValueError(
                    f"{name} must be {'above' if name in positive else 'at least'} 0, got {value}"
                )
        if self.pseudo_label_fraction > 1:
            raise ValueError(
                f"pseudo_label_fraction must be at most 1, got {self.pseudo_label_fraction}"
            )
