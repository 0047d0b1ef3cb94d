"""Alerts of ptars' nested record batch → flat tables: alerts, their periods, selectors and texts."""

import pyarrow as pa
import pyarrow.compute as pc

from thirdrail.decode.nested import Nested, Paths, Place, counter, int32

ALERT: Paths = {
    **{name: (name,) for name in ("cause", "effect", "severity_level")},
    **{name: ("mercury", name) for name in ("created_at", "updated_at", "alert_type", "display_before_active")},
    **{name: ("mercury", name) for name in ("directionality", "no_affected_stations", "clone_id")},
    "service_plan_numbers": ("mercury", "service_plan_number"),
    "general_order_numbers": ("mercury", "general_order_number"),
}
_TRIP = ("trip_id", "start_date", "start_time", "route_id", "direction_id")
SELECTOR: Paths = {
    **{name: (name,) for name in ("agency_id", "route_id", "route_type", "stop_id", "direction_id")},
    **{(name if name == "trip_id" else f"trip_{name}"): ("trip", name) for name in _TRIP},
    "sort_order": ("mercury", "sort_order"),
    "elevator_id": ("oba", "elevator_id"),
}
_TEXTS = ("header_text", "description_text", "tts_header_text", "tts_description_text", "url")
TEXTS: Paths = {
    **{name: (name, "translation") for name in (*_TEXTS, "cause_detail", "effect_detail")},
    **{name: ("mercury", name, "translation") for name in ("human_readable_active_period", "screens_summary")},
}
INFORMED, AFFECTED_STATION, STATION_ALTERNATIVE = "informed", "affected_station", "station_alternative"
STATION_ALTERNATIVE_NOTES = "station_alternative_notes"
_ENTITY, _TEXT = "entity_index", "translation_index"


def flat_alerts(array: pa.Array, place: Place) -> dict[str, pa.Table]:
    """Give the alerts' tables by the names of the canonical ones; ``parent`` is the row number among the alerts."""
    alert = Nested(array)
    alternatives = alert.get(("mercury", "station_alternative"))
    alternative = Nested(alternatives.flatten())
    selectors = [
        _children(alert.get(("informed_entity",)), place, _ENTITY, SELECTOR, entity_role=INFORMED),
        _children(alert.get(("mercury", "affected_stations")), place, _ENTITY, SELECTOR, entity_role=AFFECTED_STATION),
        _alternatives(alternatives, alternative, place),
    ]
    texts = [_children(alert.get(path), place, _TEXT, _TRANSLATION, field=name) for name, path in TEXTS.items()]
    return {
        "alerts": pa.table({**place, **alert.columns(ALERT)}),
        "alert_active_periods": _children(alert.get(("active_period",)), place, "period_index", _PERIOD),
        "alert_informed_entities": _in_order(selectors, _ENTITY),
        "alert_translations": _in_order([*texts, _notes(alternatives, alternative, place)], _TEXT),
    }


_PERIOD: Paths = {"start": ("start",), "end": ("end",)}
_TRANSLATION: Paths = {"text": ("text",), "language": ("language",)}


def _children(lists: pa.Array, place: Place, name: str, paths: Paths, **constant: str) -> pa.Table:
    """Give one row per value of each alert's list; the column ``name`` counts them."""
    parent = pc.list_parent_indices(lists)
    return _rows(place, parent, name, counter(lists, parent), Nested(lists.flatten()).columns(paths), constant)


def _rows(
    place: Place, parent: pa.Array, name: str, index: pa.Array, columns: Place, constant: dict[str, str]
) -> pa.Table:
    return pa.table(
        {
            "message_index": place["message_index"].take(parent),
            "entity_ordinal": place["entity_ordinal"].take(parent),
            "entity_id": place["entity_id"].take(parent),
            "parent": int32(parent),
            name: index,
            **{key: pa.repeat(pa.scalar(value), len(parent)) for key, value in constant.items()},
            **columns,
        }
    )


def _alternatives(lists: pa.Array, alternative: Nested, place: Place) -> pa.Table:
    parent = pc.list_parent_indices(lists)
    columns = Nested(alternative.get(("affected_entity",))).columns(SELECTOR)
    return _rows(place, parent, _ENTITY, counter(lists, parent), columns, {"entity_role": STATION_ALTERNATIVE})


def _notes(alternatives: pa.Array, alternative: Nested, place: Place) -> pa.Table:
    """Give the texts of the station alternatives."""
    notes = alternative.get(("notes", "translation"))
    inside = pc.list_parent_indices(notes)
    parent = pc.list_parent_indices(alternatives).take(inside)
    columns = Nested(notes.flatten()).columns(_TRANSLATION)
    return _rows(place, parent, _TEXT, _nth(parent), columns, {"field": STATION_ALTERNATIVE_NOTES})


def _nth(parent: pa.Array) -> pa.Array:
    """Give the place of each value among those of the same parent; ``parent`` is in order."""
    ones = pa.repeat(pa.scalar(1, pa.int64()), len(parent))
    rows = pc.subtract(pc.cumulative_sum(ones), 1)
    firsts = pa.table({"parent": parent, "row": rows}).group_by("parent", use_threads=False).aggregate([("row", "min")])
    of_parent = pc.index_in(parent, firsts.column("parent").combine_chunks())
    return int32(pc.subtract(rows, firsts.column("row_min").combine_chunks().take(of_parent)))


def _in_order(parts: list[pa.Table], name: str) -> pa.Table:
    """Give the parts as one table in order of alert, counted anew within each, the parts one after the other."""
    whole = pa.concat_tables([part.cast(parts[0].schema) for part in parts]).combine_chunks()
    if not len(whole):
        return whole
    sorted_ = whole.take(pc.sort_indices(whole, [("parent", "ascending")])).combine_chunks()
    numbers = _nth(sorted_.column("parent").combine_chunks())
    return sorted_.set_column(sorted_.schema.get_field_index(name), name, numbers)
