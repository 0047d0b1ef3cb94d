"""Decoded outages and equipment of elevators and escalators → rows of their tables. Times are New York's."""

import polars as pl

from thirdrail.normalise.constant import constant
from thirdrail.normalise.iso_times import LocalTimes
from thirdrail.normalise.messages import bits_of, counted_headers
from thirdrail.normalise.rows import Canonical, Raw
from thirdrail.normalise.siri import boolean

_FORM = "%m/%d/%Y %I:%M:%S %p"


def normalise_outages(raw: Raw, captures: pl.DataFrame) -> Canonical:
    """Give the rows of ``elevator_outages`` (``captures``: as in :mod:`.gtfs_realtime`)."""
    messages = counted_headers(raw, captures, {})
    sent = raw.tables["elevator_outages"]
    zones = messages["timezone"].gather(sent["message_index"])
    begun, back = (LocalTimes(sent[name], zones, _FORM) for name in ("outage_at_raw", "estimated_return_raw"))
    odd = begun.odd | back.odd | (back.values < begun.values).fill_null(value=False)
    rows = pl.DataFrame(
        {
            **_envelope(sent),
            "outage_at_raw": sent["outage_at_raw"].fill_null(""),
            "outage_at": begun.values,
            "estimated_return_raw": sent["estimated_return_raw"],
            "estimated_return_at": back.values,
            **{name: _text(sent[name]) for name in ("equipment_type", "station_name", "borough", "serving", "reason")},
            "train_lines": _listed(sent["train_lines"]),
            "is_ada": boolean(sent["is_ada"]),
            "is_upcoming": boolean(sent["is_upcoming"]).fill_null(value=False),
            "is_maintenance": boolean(sent["is_maintenance"]),
            "bits": bits_of(len(sent), (odd, "M036"), (begun.twice | back.twice, "M038")),
        }
    )
    return Canonical(messages, {"elevator_outages": rows})


def normalise_equipment(raw: Raw, captures: pl.DataFrame) -> Canonical:
    """Give the rows of ``elevator_equipment`` (``captures``: as in :mod:`.gtfs_realtime`)."""
    messages = counted_headers(raw, captures, {})
    sent = raw.tables["elevator_equipment"]
    texts = (
        "equipment_type",
        "station_name",
        "borough",
        "station_complex_id",
        "serving",
        "short_description",
        "next_ada_north_mrn",
        "next_ada_south_mrn",
        "bus_connections",
        "alternative_route",
    )
    rows = pl.DataFrame(
        {
            **_envelope(sent),
            **{name: _text(sent[name]) for name in texts},
            **{name: _listed(sent[name]) for name in ("station_mrns", "gtfs_stop_ids", "train_lines", "lines_served")},
            **{name: boolean(sent[name]) for name in ("is_ada", "is_active", "is_non_nyct")},
            "redundant": sent["redundant"].cast(pl.Int32, strict=False),
            "bits": constant(0, len(sent), pl.UInt32),
        }
    )
    return Canonical(messages, {"elevator_equipment": rows})


def _envelope(sent: pl.DataFrame) -> dict[str, pl.Series]:
    return {
        "cap": sent["message_index"],
        "entity_ordinal": sent["entity_ordinal"],
        "entity_id": sent["equipment_id"],
        "equipment_id": sent["equipment_id"],
    }


def _text(sent: pl.Series) -> pl.Series:
    """Give the text; an empty one says nothing."""
    return sent.set((sent == "").fill_null(value=False), None)


def _listed(sent: pl.Series) -> pl.Series:
    """Give what stands between slashes, stripped; null where there is nothing."""
    lists = _text(sent).str.split("/").list.eval(pl.element().str.strip_chars())
    return lists.list.eval(pl.element().filter(pl.element() != ""))
