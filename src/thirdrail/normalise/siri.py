"""Decoded SIRI documents → rows of ``siri_vehicle_activity``, ``siri_onward_calls`` and ``siri_situations``."""

from functools import cache

import polars as pl

from thirdrail.decode import siri
from thirdrail.decode.siri import STOP_MONITORING
from thirdrail.normalise.constant import constant
from thirdrail.normalise.iso_times import iso_instants
from thirdrail.normalise.messages import bits_of, counted_headers, instant_bits
from thirdrail.normalise.rows import Canonical, Raw
from thirdrail.normalise.times import Instants

_SENTINEL_WITHIN_US = 1_500_000
_QUARTER, _CIRCLE = 90, 360
_TRUE = ("true", "y", "yes", "1")
_FALSE = ("false", "n", "no", "0")
_CALL_TIMES = {
    "aimed_arrival_at": "aimed_arrival_time",
    "aimed_departure_at": "aimed_departure_time",
    "expected_arrival_at": "expected_arrival_time",
    "expected_departure_at": "expected_departure_time",
}
_CALL_INTS = ("visit_number", "stops_away", "passenger_count", "passenger_capacity")
_CALL_DOUBLES = ("distance_m", "distance_along_route_m")
_CALL_TEXTS = (
    "stop_point_ref",
    "stop_point_name",
    "arrival_status",
    "departure_status",
    "presentable_distance",
    "passenger_load_factor",
)
_AS_SENT = (
    "source_api",
    "vehicle_ref",
    "dated_vehicle_journey_ref",
    "line_ref",
    "journey_pattern_ref",
    "published_line_name",
    "operator_ref",
    "origin_ref",
    "destination_ref",
    "destination_name",
    "progress_rate",
    "occupancy",
    "block_ref",
)
FLAT_ONLY = ("stop_point", "source_record_id", "source_date", "source_system", "source_processing_status")


def normalise(raw: Raw, captures: pl.DataFrame) -> Canonical:
    """Give the canonical rows of several documents (``captures``: as in :mod:`.gtfs_realtime`)."""
    stamp = iso_instants(raw.headers["response_timestamp"])
    times = {"feed_timestamp": stamp.values, "bits": instant_bits(len(raw.headers), stamp)}
    messages = counted_headers(raw, captures, times)
    activities = vehicle_activity(raw.tables["siri_vehicle_activity"])
    return Canonical(
        messages,
        {
            "siri_vehicle_activity": activities,
            "siri_onward_calls": onward_calls(raw.tables["siri_onward_calls"], activities),
            "siri_situations": situations(raw.tables["siri_situations"]),
        },
    )


def normalise_flat(raw: Raw, captures: pl.DataFrame) -> Canonical:
    """Give the canonical rows of several bodies of flat records (``captures``: as in :mod:`.gtfs_realtime`)."""
    messages = counted_headers(raw, captures, {})
    return Canonical(messages, {"siri_vehicle_activity": vehicle_activity(raw.tables["siri_vehicle_activity"])})


def vehicle_activity(sent: pl.DataFrame) -> pl.DataFrame:
    """Give the rows of ``siri_vehicle_activity``, in the decoder's order."""
    response, valid, recorded = (
        iso_instants(_text(sent[name])) for name in ("response_at", "valid_until_at", "recorded_at")
    )
    origin = iso_instants(_text(sent["origin_aimed_departure_time"]))
    calls, times = _call(sent, "call_")
    day = _text(sent["data_frame_ref"]).str.to_date("%Y-%m-%d", strict=False)
    journey, line, vehicle = (_text(sent[name]) for name in ("dated_vehicle_journey_ref", "line_ref", "vehicle_ref"))
    bearing = _number(sent["bearing"])
    status = _sorted_list(_text(sent["progress_status"]), ",")
    trip = _after_agency(journey)
    sentinel = (calls["call_expected_arrival_at"].dt.timestamp("us") - response.values.dt.timestamp("us")).is_between(
        0, _SENTINEL_WITHIN_US
    )
    key = day.dt.strftime("%Y%m%d").fill_null("") + "|" + trip + "|" + vehicle.fill_null("")
    instants = (response, valid, recorded, origin, *times)
    return pl.DataFrame(
        {
            "cap": sent["message_index"],
            "entity_ordinal": sent["entity_ordinal"],
            "entity_id": constant(None, len(sent), pl.String),
            **{name: _text(sent[name]) for name in _AS_SENT},
            "onward_call_count": sent["onward_call_count"],
            "response_at": response.values,
            "valid_until_at": valid.values,
            "recorded_at": recorded.values,
            "vehicle_id": _after_agency(vehicle),
            "trip_key": key,
            "trip_id": trip,
            "service_date": day,
            "agency_id": line.str.extract(r"^([^_]*)_", 1),
            "route_id": _after_agency(line),
            "direction_ref": sent["direction_ref"].cast(pl.Int32, strict=False),
            "origin_aimed_departure_at": origin.values,
            "situation_refs": _list(sent["situation_refs"], "\x1f"),
            "monitored": boolean(sent["monitored"]),
            "longitude": _number(sent["longitude"]),
            "latitude": _number(sent["latitude"]),
            "bearing_raw": bearing,
            "bearing_compass": ((_QUARTER - bearing) % _CIRCLE),
            "progress_status": status,
            "is_spooking": status.list.contains("spooking").fill_null(value=False),
            "stroller_vehicle": boolean(sent["stroller_vehicle"]),
            "monitored_visit": _monitored_visit(_text(sent["source_api"]), calls),
            **calls,
            "expected_is_sentinel": sentinel,
            **_flat_only(sent),
            "bits": bits_of(len(sent), (_impossible(instants), "M036"), (sentinel, "M035")),
        }
    )


def _monitored_visit(api: pl.Series, calls: dict[str, pl.Series]) -> pl.Series:
    """Give what tells a vehicle's visits apart where stops are asked about, which may list it twice."""
    visit = calls["call_stop_point_ref"].fill_null("") + "|" + calls["call_visit_number"].cast(pl.String).fill_null("")
    return visit.zip_with(api == STOP_MONITORING, constant("", len(api), pl.String))


def _flat_only(sent: pl.DataFrame) -> dict[str, pl.Series]:
    """Give the columns that only flat records have."""
    nothing = constant(None, len(sent), pl.String)
    found = {name: sent[name] if name in sent.columns else nothing for name in (*FLAT_ONLY, "ts", "ingestion_time")}
    return {
        **{name: found[name] for name in FLAT_ONLY},
        "source_ts": found["ts"].cast(pl.Int64, strict=False),
        "source_ingested_at": found["ingestion_time"].str.to_datetime(
            "%Y-%m-%d %H:%M:%S%.f", time_unit="us", time_zone="UTC", strict=False
        ),
    }


def onward_calls(sent: pl.DataFrame, activities: pl.DataFrame) -> pl.DataFrame:
    """Give the rows of ``siri_onward_calls``, in the decoder's order."""
    return _no_onward_calls() if sent.is_empty() else _onward_calls(sent, activities)


@cache
def _no_onward_calls() -> pl.DataFrame:
    """Give the frame without rows: a call without any is the usual one, and making it costs as much as a thousand."""
    none = siri.decode([])
    activities = vehicle_activity(pl.from_arrow(none.tables["siri_vehicle_activity"]))  # type: ignore[arg-type]
    return _onward_calls(pl.from_arrow(none.tables["siri_onward_calls"]), activities)  # type: ignore[arg-type]


def _onward_calls(sent: pl.DataFrame, activities: pl.DataFrame) -> pl.DataFrame:
    parent = sent["parent"]
    calls, times = _call(sent, "")
    return pl.DataFrame(
        {
            "cap": sent["message_index"],
            "entity_ordinal": sent["entity_ordinal"],
            "entity_id": constant(None, len(sent), pl.String),
            "call_order": sent["call_order"],
            "vehicle_ref": activities["vehicle_ref"].gather(parent),
            "dated_vehicle_journey_ref": activities["dated_vehicle_journey_ref"].gather(parent),
            "calls_to_end": activities["onward_call_count"].gather(parent) - sent["call_order"] - 1,
            **calls,
            "bits": bits_of(len(sent), (_impossible(times), "M036")),
        }
    )


def situations(sent: pl.DataFrame) -> pl.DataFrame:
    """Give the rows of ``siri_situations``, in the decoder's order."""
    return _no_situations() if sent.is_empty() else _situations(sent)


@cache
def _no_situations() -> pl.DataFrame:
    return _situations(pl.from_arrow(siri.decode([]).tables["siri_situations"]))  # type: ignore[arg-type]


def _situations(sent: pl.DataFrame) -> pl.DataFrame:
    created, start, end = (
        iso_instants(_text(sent[name])) for name in ("creation_time", "publication_start", "publication_end")
    )
    return pl.DataFrame(
        {
            "cap": sent["message_index"],
            "entity_ordinal": sent["entity_ordinal"],
            "entity_id": _text(sent["situation_number"]),
            "situation_number": _text(sent["situation_number"]).fill_null(""),
            "created_at": created.values,
            "publication_start_at": start.values,
            "publication_end_at": end.values,
            **{name: _text(sent[name]) for name in ("severity", "summary", "description")},
            **{name: sent[name] for name in ("conditions", "line_refs", "direction_refs")},
            "bits": bits_of(len(sent), (_impossible((created, start, end)), "M036")),
        }
    )


def _call(sent: pl.DataFrame, prefix: str) -> tuple[dict[str, pl.Series], list[Instants]]:
    times = {name: iso_instants(_text(sent[f"{prefix}{wire}"])) for name, wire in _CALL_TIMES.items()}
    columns = {
        **{name: _text(sent[f"{prefix}{name}"]) for name in _CALL_TEXTS},
        **{name: time.values for name, time in times.items()},
        **{name: sent[f"{prefix}{name}"].cast(pl.Int32, strict=False) for name in _CALL_INTS},
        **{name: _number(sent[f"{prefix}{name}"]) for name in _CALL_DOUBLES},
    }
    return {f"{prefix}{name}": column for name, column in columns.items()}, list(times.values())


def _impossible(times: "tuple[Instants, ...] | list[Instants]") -> pl.Series | None:
    """Give the rows in which some time is unreadable or out of range."""
    found: pl.Series | None = None
    for time in times:
        if time.impossible is not None:
            found = time.impossible if found is None else found | time.impossible
    return found


def _after_agency(ref: pl.Series) -> pl.Series:
    """Give a reference without its agency: all after the first underscore."""
    return ref.str.replace(r"^[^_]*_", "")


def _text(sent: pl.Series) -> pl.Series:
    """Give the column as text: the decoder leaves numbers as they are."""
    return sent if sent.dtype == pl.String else sent.cast(pl.String)


def _number(texts: pl.Series) -> pl.Series:
    """Give numbers; what is none, and NaN, becomes null."""
    return texts.cast(pl.Float64, strict=False).fill_nan(None)


def boolean(texts: pl.Series) -> pl.Series:
    """Give true, false, or null for what is neither."""
    if texts.dtype == pl.Boolean:
        return texts
    lower = texts.str.to_lowercase()
    is_true, is_false = lower.is_in(_TRUE), lower.is_in(_FALSE)
    return is_true.set(~(is_true | is_false).fill_null(value=False), None)


def _list(texts: pl.Series, separator: str) -> pl.Series:
    if texts.null_count() == len(texts):
        return constant(None, len(texts), pl.List(pl.String))
    return texts.str.split(separator)


def _sorted_list(texts: pl.Series, separator: str) -> pl.Series:
    """Give the sorted members, stripped; null where nothing was sent."""
    lists = _list(texts.str.strip_chars().replace("", None), separator)
    return lists.list.eval(pl.element().str.strip_chars()).list.sort()
