"""Decoded alerts → rows of ``alerts``, their periods, selectors and texts.

Loops over alerts and their parts where they are digested: some thousand rows a minute, not the hot path.
"""

import hashlib
from collections import defaultdict

import msgspec
import polars as pl

from thirdrail.normalise import enums
from thirdrail.normalise.constant import constant
from thirdrail.normalise.messages import bits_of, instant_bits
from thirdrail.normalise.rows import Raw
from thirdrail.normalise.times import instants
from thirdrail.normalise.trips import duplicate_entity_ids, given

_TYPES = (
    "No Scheduled Service",
    "Information Outage",
    "Station Notice",
    "Special Notice",
    "Weekday Schedule",
    "Weekend Schedule",
    "Saturday Schedule",
    "Sunday Schedule",
    "Extra Service",
    "Boarding Change",
    "Special Schedule",
    "Expect Delays",
    "Reduced Service",
    "Planned - Express to Local",
    "Planned - Extra Transfer",
    "Planned - Stops Skipped",
    "Planned - Detour",
    "Planned - Reroute",
    "Planned - Substitute Buses",
    "Planned - Part Suspended",
    "Planned - Suspended",
    "Service Change",
    "Planned Work",
    "Some Delays",
    "Express to Local",
    "Delays",
    "Cancellations",
    "Delays and Cancellations",
    "Stops Skipped",
    "Severe Delays",
    "Detour",
    "Reroute",
    "Substitute Buses",
    "Part Suspended",
    "Suspended",
)
TYPE_RANK = {name: rank for rank, name in enumerate(_TYPES, start=1)}
"""Alert type → rank as Mercury orders them since 2024-03: the more, the worse."""

_PERIODS, _SELECTORS, _TEXTS = "alert_active_periods", "alert_informed_entities", "alert_translations"
_MERCURY = r"^(lmm:[^:]+:[^:]+)(?::(\d{1,9}))?$"
_SHOWN = ("header_text", "description_text", "human_readable_active_period")
_ENGLISH = ("en", "EN", "")
_DIGEST_CHARACTERS = 32
_AHEAD_US = 60_000_000


def alerts(raw: Raw, messages: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Give the canonical rows of the four tables of alerts, each in the decoder's order."""
    parts = {
        _PERIODS: _active_periods(raw.tables[_PERIODS]),
        _SELECTORS: _informed_entities(raw.tables[_SELECTORS]),
        _TEXTS: _translations(raw.tables[_TEXTS]),
    }
    rows = _alerts(raw, messages, parts)
    lasting = parts | {_PERIODS: _untouched(parts[_PERIODS], rows["mercury_updated_at"])}
    versions = pl.Series("alert_version_id", _versions(rows, lasting), dtype=pl.String)
    rows = rows.with_columns(versions)
    of_alert = rows.select("alert_id", "alert_version_id")
    named = {
        name: frame.drop("parent").with_columns(of_alert[column].gather(frame["parent"]) for column in of_alert.columns)
        for name, frame in parts.items()
    }
    return {"alerts": rows, **named}


def _alerts(raw: Raw, messages: pl.DataFrame, parts: dict[str, pl.DataFrame]) -> pl.DataFrame:
    sent = raw.tables["alerts"]
    created, updated = instants(sent["created_at"]), instants(sent["updated_at"])
    alert_id = sent["entity_id"].fill_null("")
    header = messages["feed_timestamp"].gather(sent["message_index"])
    rank = sent["alert_type"].replace_strict(TYPE_RANK, default=None, return_dtype=pl.Int32)
    counts = {name: _counts(len(sent), frame["parent"]) for name, frame in parts.items()}
    shown = {name: _english(parts[_TEXTS], name, len(sent)) for name in (*_SHOWN, "url")}
    bits = instant_bits(len(sent), created, updated) | bits_of(
        len(sent),
        (duplicate_entity_ids(sent, raw.entities), "M010"),
        (_odd_window(parts[_PERIODS], len(sent)) | _from_the_future(updated.values, header), "M032"),
        (sent["alert_type"].is_not_null() & rank.is_null(), "M033"),
    )
    return pl.DataFrame(
        {
            "cap": sent["message_index"],
            "entity_ordinal": sent["entity_ordinal"],
            "entity_id": sent["entity_id"],
            "alert_id": alert_id,
            **_taken_apart(alert_id),
            "is_deleted": sent["is_deleted"].fill_null(value=False),
            "cause_raw": enums.names(sent["cause"], enums.ALERT_CAUSE),
            "cause": enums.names(sent["cause"], enums.ALERT_CAUSE, "UNKNOWN_CAUSE"),
            "effect_raw": enums.names(sent["effect"], enums.ALERT_EFFECT),
            "effect": enums.names(sent["effect"], enums.ALERT_EFFECT, "UNKNOWN_EFFECT"),
            "severity_level": enums.names(sent["severity_level"], enums.ALERT_SEVERITY, "UNKNOWN_SEVERITY"),
            "alert_type": sent["alert_type"],
            "alert_type_rank": rank,
            "mercury_created_at": created.values,
            "mercury_updated_at": updated.values,
            "display_before_active_s": sent["display_before_active"].cast(pl.Int64, strict=False),
            "directionality": sent["directionality"].cast(pl.Int64, strict=False),
            "service_plan_numbers": given(sent["service_plan_numbers"]),
            "general_order_numbers": given(sent["general_order_numbers"]),
            "no_affected_stations": sent["no_affected_stations"],
            "clone_id": sent["clone_id"],
            **shown,
            "active_period_count": counts[_PERIODS],
            "informed_entity_count": counts[_SELECTORS],
            "translation_count": counts[_TEXTS],
            "bits": bits,
        }
    )


def _taken_apart(alert_id: pl.Series) -> dict[str, pl.Series]:
    """Give stable id, rank suffix and class: ``lmm:alert:532243:31`` is alert 532243 in the state of rank 31."""
    stable = alert_id.str.extract(_MERCURY, 1).fill_null(alert_id)
    named = alert_id.str.extract(r"^lmm:(alert|planned_work):", 1)
    elevator = constant("elevator", len(alert_id), pl.String).set(~alert_id.str.contains(r"#E[LS]"), None)
    return {
        "alert_stable_id": stable,
        "alert_rank_suffix": alert_id.str.extract(_MERCURY, 2).cast(pl.Int32, strict=False),
        "alert_class": named.fill_null(elevator).fill_null("other"),
    }


def _envelope(sent: pl.DataFrame) -> dict[str, pl.Series]:
    names = ("entity_ordinal", "entity_id", "parent")
    return {"cap": sent["message_index"], **{name: sent[name] for name in names}}


def _active_periods(sent: pl.DataFrame) -> pl.DataFrame:
    start, end = instants(sent["start"]), instants(sent["end"])
    return pl.DataFrame(
        {
            **_envelope(sent),
            "period_index": sent["period_index"],
            "start_at": start.values,
            "end_at": end.values,
            "bits": instant_bits(len(sent), start, end),
        }
    )


def _informed_entities(sent: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame(
        {
            **_envelope(sent),
            "entity_role": sent["entity_role"],
            "entity_index": sent["entity_index"],
            **{name: sent[name] for name in ("agency_id", "route_id", "route_type", "stop_id", "sort_order")},
            **{name: sent[name] for name in ("trip_id", "trip_start_date", "trip_start_time", "trip_route_id")},
            **{name: sent[name].cast(pl.Int32, strict=False) for name in ("direction_id", "trip_direction_id")},
            "sort_priority": sent["sort_order"].str.extract(r":(\d{1,9})$", 1).cast(pl.Int32, strict=False),
            "elevator_id": sent["elevator_id"],
            "bits": constant(0, len(sent), pl.UInt32),
        }
    )


def _translations(sent: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame(
        {
            **_envelope(sent),
            "field": sent["field"],
            "translation_index": sent["translation_index"],
            "language": sent["language"],
            "text": sent["text"].fill_null(""),
            "bits": constant(0, len(sent), pl.UInt32),
        }
    )


def _counts(length: int, parent: pl.Series) -> pl.Series:
    """Give how many parts each alert has."""
    found = parent.value_counts()
    zeros = constant(0, length, pl.Int32)
    return zeros.scatter(found[parent.name], found["count"].cast(pl.Int32)) if len(found) else zeros


def _english(texts: pl.DataFrame, field: str, length: int) -> pl.Series:
    """Give each alert's first English (or unnamed) text of a field."""
    language = pl.col("language").fill_null("")
    found = texts.filter((pl.col("field") == field) & language.is_in(_ENGLISH)).unique(
        "parent", keep="first", maintain_order=True
    )
    nothing = constant(None, length, pl.String)
    return (nothing.scatter(found["parent"], found["text"]) if len(found) else nothing).alias(field)


def _odd_window(periods: pl.DataFrame, length: int) -> pl.Series:
    """Give the alerts of which a period ends before it starts."""
    odd = periods.filter(pl.col("end_at") < pl.col("start_at"))["parent"].unique()
    nowhere = constant(False, length, pl.Boolean)
    return nowhere.scatter(odd, values=True) if len(odd) else nowhere


def _from_the_future(updated: pl.Series, header: pl.Series) -> pl.Series:
    return ((updated.dt.timestamp("us") - header.dt.timestamp("us")) > _AHEAD_US).fill_null(value=False)


def _untouched(periods: pl.DataFrame, updated: pl.Series) -> pl.DataFrame:
    """Give the periods without a start that is the alert's last touch: Mercury moves it along with every touch."""
    touched = updated.gather(periods["parent"])
    is_touch = (periods["start_at"] == touched).fill_null(value=False)
    return periods.with_columns(periods["start_at"].set(is_touch, None))


def _versions(rows: pl.DataFrame, parts: dict[str, pl.DataFrame]) -> list[str]:
    """Give what identifies each alert's content: a digest that no library's version changes."""
    left_out = {"cap", "entity_ordinal", "entity_id", "parent", "bits", "mercury_updated_at"}

    def plain(frame: pl.DataFrame) -> pl.DataFrame:
        chosen = frame.select(name for name in frame.columns if name not in left_out)
        return chosen.with_columns(pl.selectors.datetime().dt.timestamp("us"))

    pieces: dict[int, list[bytes]] = defaultdict(list)
    for frame in parts.values():
        for parent, row in zip(frame["parent"].to_list(), plain(frame).iter_rows(), strict=True):
            pieces[parent].append(msgspec.json.encode(row))
    return [
        hashlib.sha256(b"\n".join([msgspec.json.encode(row), *sorted(pieces[number])])).hexdigest()[:_DIGEST_CHARACTERS]
        for number, row in enumerate(plain(rows).iter_rows())
    ]
