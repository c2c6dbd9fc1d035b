"""Report section on models that were not trained from the current files of the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oso_pipeline.core.json_files import ODD_VALUES
from oso_pipeline.learning.kept_models import kept_inputs
from oso_pipeline.learning.model_bank import Origin
from oso_pipeline.learning.vintage import Vintage, of_training, vintages
from oso_pipeline.tasks.run_files import RunFiles
from oso_pipeline.tasks.section import Section, Table

_SHOWN = 10
_GIVEN = (
    "The models of this map were trained by another run. No polygon was read, and none was held "
    "out: the accuracy in this table was measured by the other run on its own map, not on this "
    "one. An independent set measures the accuracy of this map; whether its polygons trained the "
    "models is not known here."
)
_KEPT = (
    "Models were kept though samples or labels were made again after they were trained "
    "(learning.freeze): {} changed since. Blocks of a tile are made from the images of the map, "
    "the models from those of the training."
)
_VINTAGES = (
    "Tile", "Images of the map", "Newest", "Images of the training", "Newest", "Since the training",
)  # fmt: skip


def models_section(files: RunFiles) -> Section | None:
    """Return the origin of given models, and changes since kept ones were trained.

    None for a run whose models are those of its samples.
    """
    given = [one for one in files.summaries("train") if isinstance(one.get("origin"), dict)]
    if given:
        headings = ("Stratum", "Run", "Year", "Season from", "Pixels", "Accuracy there")
        return Section("Models", (_GIVEN,), (Table(headings, tuple(map(_row, given))),))
    outputs = files.outputs.get("train", ())
    changed = sorted({name for one in outputs for name in kept_inputs(files.folder, one)})
    if not changed:
        return None
    more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    table = Table(_VINTAGES, _vintages(files))
    return Section("Models", (_KEPT.format(", ".join(changed[:_SHOWN]) + more),), (table,))


def _vintages(files: RunFiles) -> tuple[tuple[str | int | None, ...], ...]:
    """Return for each tile the images that its blocks see, and those that trained the models.

    Of models that were trained at several times the earliest counts.
    """
    trained: dict[str, Vintage] = {}
    for summary in files.summaries("train"):
        for tile, one in of_training(summary).items():
            if tile not in trained or (one.last or "") < (trained[tile].last or ""):
                trained[tile] = one
    rows = []
    for tile, now in vintages(files.folder, files.outputs.get("inventory", ())).items():
        then = trained.get(tile)
        before = (None, None) if then is None else (then.products, then.last)
        rows.append((tile, now.products, now.last, *before, now.since(then)))
    return tuple(rows)


def _row(summary: Mapping[str, Any]) -> tuple[str | int | float | None, ...]:
    origin = Origin.from_json(summary["origin"])
    run = " ".join(name for name in (origin.run, origin.run_id) if name) or None
    pixels = sum(summary.get("pixels", {}).values())
    return (
        summary.get("stratum"),
        run,
        origin.year,
        summary.get("trained_from"),
        pixels,
        _accuracy(origin),
    )


def _accuracy(origin: Origin) -> str | None:
    """Return the overall accuracy with its interval; None where it was not measured."""
    found = origin.overall_accuracy
    if found is None:
        return None
    try:
        overall = (origin.accuracy or {})["overall_accuracy"]
        return f"{found:.3f} ({float(overall['low']):.3f} to {float(overall['high']):.3f})"
    except ODD_VALUES:
        return f"{found:.3f}"
