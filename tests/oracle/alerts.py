"""The oracle for alerts: rows of the four tables from the stock bindings, plain loops, no code of ``thirdrail``.

Mercury's extension is declared here anew, in a pool of its own.
"""

import re
from datetime import UTC, datetime
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.transit import gtfs_realtime_pb2

_MERCURY = """
name: "mercury_oracle.proto" package: "mercury_oracle" dependency: "gtfs-realtime.proto"
message_type { name: "Alternative"
  field { name: "affected_entity" number: 1 type: TYPE_MESSAGE type_name: ".transit_realtime.EntitySelector" label: LABEL_OPTIONAL }
  field { name: "notes" number: 2 type: TYPE_MESSAGE type_name: ".transit_realtime.TranslatedString" label: LABEL_OPTIONAL } }
message_type { name: "Alert"
  field { name: "created_at" number: 1 type: TYPE_UINT64 label: LABEL_OPTIONAL }
  field { name: "updated_at" number: 2 type: TYPE_UINT64 label: LABEL_OPTIONAL }
  field { name: "alert_type" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "station_alternative" number: 4 type: TYPE_MESSAGE type_name: ".mercury_oracle.Alternative" label: LABEL_REPEATED }
  field { name: "service_plan_number" number: 5 type: TYPE_STRING label: LABEL_REPEATED }
  field { name: "general_order_number" number: 6 type: TYPE_STRING label: LABEL_REPEATED }
  field { name: "display_before_active" number: 7 type: TYPE_UINT64 label: LABEL_OPTIONAL }
  field { name: "human_readable_active_period" number: 8 type: TYPE_MESSAGE type_name: ".transit_realtime.TranslatedString" label: LABEL_OPTIONAL }
  field { name: "directionality" number: 9 type: TYPE_UINT64 label: LABEL_OPTIONAL }
  field { name: "affected_stations" number: 10 type: TYPE_MESSAGE type_name: ".transit_realtime.EntitySelector" label: LABEL_REPEATED }
  field { name: "screens_summary" number: 11 type: TYPE_MESSAGE type_name: ".transit_realtime.TranslatedString" label: LABEL_OPTIONAL }
  field { name: "no_affected_stations" number: 12 type: TYPE_BOOL label: LABEL_OPTIONAL }
  field { name: "clone_id" number: 13 type: TYPE_STRING label: LABEL_OPTIONAL } }
message_type { name: "Selector" field { name: "sort_order" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL } }
message_type { name: "Elevator" field { name: "elevator_id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL } }
extension { name: "alert" number: 1001 extendee: ".transit_realtime.Alert" type: TYPE_MESSAGE type_name: ".mercury_oracle.Alert" label: LABEL_OPTIONAL }
extension { name: "selector" number: 1001 extendee: ".transit_realtime.EntitySelector" type: TYPE_MESSAGE type_name: ".mercury_oracle.Selector" label: LABEL_OPTIONAL }
extension { name: "elevator" number: 1000 extendee: ".transit_realtime.EntitySelector" type: TYPE_MESSAGE type_name: ".mercury_oracle.Elevator" label: LABEL_OPTIONAL }
"""


def _pool() -> Any:
    pool = descriptor_pool.DescriptorPool()
    base = descriptor_pb2.FileDescriptorProto()
    gtfs_realtime_pb2.DESCRIPTOR.CopyToProto(base)
    mercury = text_format.Parse(_MERCURY, descriptor_pb2.FileDescriptorProto())
    mercury.dependency[0] = base.name
    pool.Add(base)
    pool.Add(mercury)
    message_factory.GetMessageClassesForFiles([base.name, mercury.name], pool)
    return pool


_POOL = _pool()
FEED_MESSAGE: Any = message_factory.GetMessageClass(_POOL.FindMessageTypeByName("transit_realtime.FeedMessage"))
ALERT, SELECTOR, ELEVATOR = (
    _POOL.FindExtensionByName(f"mercury_oracle.{name}") for name in ("alert", "selector", "elevator")
)
_PLAIN = (
    "header_text",
    "description_text",
    "tts_header_text",
    "tts_description_text",
    "url",
    "cause_detail",
    "effect_detail",
)
_OF_MERCURY = ("human_readable_active_period", "screens_summary")
TABLES = ("alerts", "alert_active_periods", "alert_informed_entities", "alert_translations")
# Two of Mercury's 35 ranks are enough here: the rest of the lookup is compared as a table by its own test.
KNOWN_RANKS = {"Delays": 26, "Station Notice": 3, "Planned - Part Suspended": 20, "Reduced Service": 13}


def alert_rows(body: bytes) -> dict[str, list[dict[str, Any]]]:
    """Give table → rows of one message; ``alert_version_id`` and ranks of other types are left out."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for ordinal, entity in enumerate(FEED_MESSAGE.FromString(body).entity):
        if not entity.HasField("alert"):
            continue
        named = {"entity_ordinal": ordinal, "alert_id": entity.id, "dq_flags": []}
        periods, selectors, texts = _periods(entity.alert), _selectors(entity.alert), _texts(entity.alert)
        for name, listed, place in zip(
            TABLES[1:], (periods, selectors, texts), ("period_index", "entity_index", "translation_index"), strict=True
        ):
            rows[name] += [{**named, place: index, **row} for index, row in enumerate(listed)]
        counts = {
            "active_period_count": len(periods),
            "informed_entity_count": len(selectors),
            "translation_count": len(texts),
        }
        rows["alerts"].append({**named, **_alert(entity, texts), **counts})
    return rows


def _alert(entity: Any, texts: list[dict[str, Any]]) -> dict[str, Any]:
    alert, mercury = entity.alert, entity.alert.Extensions[ALERT]
    found = re.fullmatch(r"(lmm:[^:]+:[^:]+):(\d+)", entity.id)
    kind = "other"
    for start, name in (("lmm:alert:", "alert"), ("lmm:planned_work:", "planned_work")):
        kind = name if entity.id.startswith(start) else kind
    kind = "elevator" if kind == "other" and ("#EL" in entity.id or "#ES" in entity.id) else kind
    return {
        "alert_stable_id": found[1] if found else entity.id,
        "alert_rank_suffix": int(found[2]) if found else None,
        "alert_class": kind,
        "is_deleted": entity.is_deleted,
        "cause_raw": _enum(alert, "cause"),
        "cause": _enum(alert, "cause") or "UNKNOWN_CAUSE",
        "effect_raw": _enum(alert, "effect"),
        "effect": _enum(alert, "effect") or "UNKNOWN_EFFECT",
        "severity_level": _enum(alert, "severity_level") or "UNKNOWN_SEVERITY",
        "alert_type": _get(mercury, "alert_type"),
        "mercury_created_at": _instant(mercury.created_at),
        "mercury_updated_at": _instant(mercury.updated_at),
        "display_before_active_s": _get(mercury, "display_before_active"),
        "directionality": _get(mercury, "directionality"),
        "service_plan_numbers": list(mercury.service_plan_number) or None,
        "general_order_numbers": list(mercury.general_order_number) or None,
        "no_affected_stations": _get(mercury, "no_affected_stations"),
        "clone_id": _get(mercury, "clone_id"),
        **{name: _english(texts, name) for name in ("header_text", "description_text", _OF_MERCURY[0], "url")},
    }


def _english(texts: list[dict[str, Any]], field: str) -> str | None:
    return next(
        (row["text"] for row in texts if row["field"] == field and row["language"] in (None, "", "en", "EN")), None
    )


def _periods(alert: Any) -> list[dict[str, Any]]:
    return [{"start_at": _instant(period.start), "end_at": _instant(period.end)} for period in alert.active_period]


def _selectors(alert: Any) -> list[dict[str, Any]]:
    mercury = alert.Extensions[ALERT]
    listed = [("informed", each) for each in alert.informed_entity]
    listed += [("affected_station", each) for each in mercury.affected_stations]
    listed += [("station_alternative", each.affected_entity) for each in mercury.station_alternative]
    return [{"entity_role": role, **_selector(each)} for role, each in listed]


def _selector(each: Any) -> dict[str, Any]:
    order = _get(each.Extensions[SELECTOR], "sort_order")
    priority = re.search(r":(\d+)$", order or "")
    return {
        **{name: _get(each, name) for name in ("agency_id", "route_id", "route_type", "stop_id", "direction_id")},
        "trip_id": _get(each.trip, "trip_id"),
        **{f"trip_{name}": _get(each.trip, name) for name in ("start_date", "start_time", "route_id", "direction_id")},
        "sort_order": order,
        "sort_priority": int(priority[1]) if priority else None,
        "elevator_id": _get(each.Extensions[ELEVATOR], "elevator_id"),
    }


def _texts(alert: Any) -> list[dict[str, Any]]:
    mercury = alert.Extensions[ALERT]
    listed = [(name, each) for name in _PLAIN for each in getattr(alert, name).translation]
    listed += [(name, each) for name in _OF_MERCURY for each in getattr(mercury, name).translation]
    listed += [
        ("station_alternative_notes", each) for part in mercury.station_alternative for each in part.notes.translation
    ]
    return [{"field": name, "language": _get(each, "language"), "text": each.text} for name, each in listed]


def _get(message: Any, name: str) -> Any:
    return getattr(message, name) if message.HasField(name) else None


def _enum(message: Any, name: str) -> str | None:
    field = message.DESCRIPTOR.fields_by_name[name]
    return field.enum_type.values_by_number[getattr(message, name)].name if message.HasField(name) else None


def _instant(seconds: int) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
