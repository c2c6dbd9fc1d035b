"""Whether the layers of a database have what its rules look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from oso_pipeline.core.errors import Problems
from oso_pipeline.reference.databases.deliveries import DeliveryLayer
from oso_pipeline.reference.databases.vector_features import ALIASES, ID, resolved
from oso_pipeline.reference.rules.rule_set import RuleSet
from oso_pipeline.vectors.damage import DAMAGED_SYSTEM
from oso_pipeline.vectors.systems import near_miss
from oso_pipeline.vectors.vector_schema import Schema

_SHOWN = 5


def check_layers(
    layers: Mapping[str, tuple[DeliveryLayer, ...]],
    rules: RuleSet,
    skip_tableless: bool,
    problems: Problems,
) -> set[DeliveryLayer]:
    """Return the layers that can be read, of those that rules take something from.

    Problems found: those of `VectorFile.check`; fields that rules look at are missing
    (``E-VECTOR-COLUMN``); points, or lines that are not buffered (``E-GEOMETRY-TYPE``); a shapefile
    without attribute table is an error, or left out with a warning (``W-VECTOR-TABLE``).
    """
    good = set()
    for name, some in layers.items():
        of_layer = rules.of_layer(name)
        needed = [field for field in of_layer.fields if _is_tested(field, of_layer)]
        for layer in some:
            if not layer.file.has_table:
                _report_tableless(layer, [ID, *needed], skip_tableless, problems)
                continue
            schema = layer.file.check([], problems)
            if schema is None:
                continue
            fits = _has_area(layer, schema, of_layer, problems)
            if _has_fields(layer, schema, [ID, *needed], problems) and fits:
                good.add(layer)
    return good


def check_presence(
    layers: Mapping[str, tuple[DeliveryLayer, ...]], wanted: Collection[str], problems: Problems
) -> None:
    """Warn of layers that rules take something from and a delivery lacks (``W-DELIVERY-LAYER``)."""
    deliveries = {layer.delivery: layer.file.path for some in layers.values() for layer in some}
    for delivery in sorted(deliveries):
        has = {name for name, some in layers.items() if any(x.delivery == delivery for x in some)}
        if lacking := sorted(set(wanted) - has):
            message = f"{delivery} lacks the layers {', '.join(lacking)}: no label comes from them"
            problems.warn("W-DELIVERY-LAYER", message, deliveries[delivery].parent)


def check_systems(layers: Iterable[DeliveryLayer], problems: Problems) -> None:
    """Warn where deliveries come in several coordinate systems, naming them (``W-CRS-SEVERAL``).

    A system that is nearly a known one is an error (``E-CRS-DAMAGED``): IGN delivers none.
    """
    systems: dict[str, set[str]] = defaultdict(set)
    for layer in layers:
        schema = layer.file.schema(Problems())
        if schema is not None and schema.crs is not None:
            systems[schema.crs.name].add(layer.delivery)
            if (difference := near_miss(schema.crs)) is not None:
                message = f"the coordinate system {schema.crs.name!r} of the layer {difference}"
                problems.error("E-CRS-DAMAGED", message, layer.file.path, DAMAGED_SYSTEM)
    if len(systems) > 1:
        each = "; ".join(
            f"{name}: {', '.join(sorted(some)[:_SHOWN])}" for name, some in sorted(systems.items())
        )
        message = f"deliveries come in several coordinate systems, each is projected: {each}"
        problems.warn("W-CRS-SEVERAL", message, None, "nothing to do if this is as delivered")


def _is_tested(field: str, rules: RuleSet) -> bool:
    return any(field in rule.tests for rule in rules.rules)


def _report_tableless(
    layer: DeliveryLayer, needed: list[str], skip_tableless: bool, problems: Problems
) -> None:
    message = (
        f"layer {layer.name} of {layer.delivery} has no attribute table (.dbf), "
        f"where {', '.join(needed)} would stand"
    )
    if skip_tableless:
        problems.warn("W-VECTOR-TABLE", f"{message}; it is left out", layer.file.path)
        return
    hint = "put the .dbf beside the .shp, or leave such layers out with `incomplete: skip`"
    problems.error("E-VECTOR-TABLE", message, layer.file.path, hint)


def _has_area(layer: DeliveryLayer, schema: Schema, rules: RuleSet, problems: Problems) -> bool:
    kind = schema.geometry_type or ""
    buffered = all(r.operation.kind == "buffer" for r in rules.rules if r.code is not None)
    if "Point" not in kind and ("LineString" not in kind or buffered):
        return True
    wanted = "lines or polygons" if buffered else "polygons"
    message = f"layer {layer.name} of {layer.delivery} holds {kind}, {wanted} are expected"
    problems.error("E-GEOMETRY-TYPE", message, layer.file.path, "take the layer as delivered")
    return False


def _has_fields(
    layer: DeliveryLayer, schema: Schema, needed: list[str], problems: Problems
) -> bool:
    absent = [name for name, found in resolved(schema, needed).items() if found is None]
    if not absent:
        return True
    wanted = ", ".join(" or ".join(ALIASES.get(name, (name,))) for name in absent)
    message = (
        f"layer {layer.name} of {layer.delivery} lacks {wanted}; "
        f"its fields: {', '.join(schema.fields) or 'none'}"
    )
    hint = "take the layer as delivered, or give rules of your own"
    problems.error("E-VECTOR-COLUMN", message, layer.file.path, hint)
    return False
