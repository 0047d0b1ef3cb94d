"""The gate: canonical rows → rows that pass, rows that are refused, findings counted.

Decoded = passed + refused, per table and capture. A refused trip update takes its stop times with it, as every
parent takes its parts.
Keys of what passes are unique within a capture's picture.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import polars as pl

from thirdrail.model.records import Settings
from thirdrail.model.rules import BIT, FLAG, REJECT, RULES, action
from thirdrail.model.tables import BY_NAME, STOP_TIME_UPDATES, TRIP_UPDATES, VEHICLE_POSITIONS, Table
from thirdrail.normalise.constant import constant
from thirdrail.normalise.rows import Canonical, Raw
from thirdrail.normalise.trips import SUBWAY
from thirdrail.quality.keys import row_hashes

KEY_SEED = 1000
_MASK = {rule.id: pl.lit(BIT[rule.id], dtype=pl.UInt32) for rule in RULES}
_STALLED_AFTER_S = {SUBWAY: 90}
_OLD_FIX_AFTER_S = 300
_AHEAD_BY_S = 60
_HIGHEST_LATITUDE, _HIGHEST_LONGITUDE = 90, 180


@dataclass(slots=True)
class Gated:
    """What the gate made of several captures' rows.

    ``passed``: table → canonical rows plus ``key_hash``, with ``bits`` holding flags alone.
    ``refused``: table → the refused rows' numbers in the decoder's table, ``cap``, ``key_hash``, ``bits``.
    ``findings``: capture → rule → count.
    """

    passed: dict[str, pl.DataFrame] = field(default_factory=dict)
    refused: dict[str, pl.DataFrame] = field(default_factory=dict)
    findings: dict[int, dict[str, int]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(int)))


class _Actions:
    """What each rule does, per capture; configured per feed."""

    def __init__(self, settings: Settings, feed_ids: list[str]) -> None:
        self._settings, self._feed_ids = settings, feed_ids

    def where(self, wanted: str, rule_id: str) -> pl.Series | bool:
        """Give a boolean per capture (or one for all): the rule does ``wanted`` there."""
        verdicts = {feed: action(self._settings.severities, feed, rule_id) == wanted for feed in set(self._feed_ids)}
        if len(set(verdicts.values())) == 1:
            return next(iter(verdicts.values()))
        return pl.Series([verdicts[feed] for feed in self._feed_ids], dtype=pl.Boolean)


def gate(raw: Raw, canonical: Canonical, settings: Settings) -> Gated:
    """Judge every row of several captures. Pure; ``settings`` give the action of each rule per feed."""
    gated = Gated()
    actions = _Actions(settings, canonical.messages["feed_id"].to_list())
    refused_parents: dict[str, pl.Series] = {}
    for name, frame in canonical.frames.items():
        table = BY_NAME[name]
        bits = frame["bits"] | _row_rules(table, frame, canonical.messages)
        refuse = _apply(bits, frame["cap"], actions, REJECT, gated)
        if table.parent in refused_parents:
            refuse = refuse | refused_parents[table.parent].gather(raw.tables[name]["parent"])
        keys = row_hashes(frame, table.key, KEY_SEED)
        refuse, bits = _refuse_repeated_keys(frame["cap"], keys, refuse, bits, gated)
        if refuse.any():
            refused_parents[name] = refuse
        _split(table, frame, keys, bits, refuse, actions, gated)
    return gated


def _row_rules(table: Table, frame: pl.DataFrame, messages: pl.DataFrame) -> pl.Series:
    """Give the bits of the rules that look at canonical columns."""
    bits = constant(0, len(frame), pl.UInt32)
    if frame.is_empty() or table not in (STOP_TIME_UPDATES, TRIP_UPDATES, VEHICLE_POSITIONS):
        return bits
    if table is STOP_TIME_UPDATES:
        if not frame["stop_id"].null_count():
            return bits
        return _bits(frame, E040=pl.col("stop_id").is_null() & pl.col("stop_sequence").is_null())
    headed = frame.with_columns(
        header=messages["feed_timestamp"].gather(frame["cap"]), family=messages["family"].gather(frame["cap"])
    )
    if table is TRIP_UPDATES:
        late = pl.col("header") - pl.col("first_stop_time_at")
        return _bits(
            headed,
            M016=late > pl.duration(minutes=30),
            M029=(late > pl.duration(minutes=5)) & ~pl.col("nyct_is_assigned"),
        )
    age = (pl.col("header") - pl.col("vehicle_at")).dt.total_seconds()
    limit = pl.when(pl.col("family") == SUBWAY).then(_STALLED_AFTER_S[SUBWAY]).otherwise(_OLD_FIX_AFTER_S)
    here = (
        (pl.col("latitude").abs() <= _HIGHEST_LATITUDE) & (pl.col("longitude").abs() <= _HIGHEST_LONGITUDE)
    ).fill_null(value=True)
    sound = pl.col("latitude").is_nan().fill_null(value=False) | pl.col("longitude").is_nan().fill_null(value=False)
    return _bits(headed, M020=age > limit, M021=age < -_AHEAD_BY_S, E026=~here | sound)


def _bits(frame: pl.DataFrame, **rules: pl.Expr) -> pl.Series:
    """Give the bits of these rules; a null verdict is no finding."""
    marks = frame.select(**{rule: mark.fill_null(value=False) for rule, mark in rules.items()})
    bits = constant(0, len(frame), pl.UInt32)
    for rule in rules:
        if marks[rule].any():
            bits = bits | marks[rule].cast(pl.UInt32) * BIT[rule]
    return bits


def _apply(bits: pl.Series, caps: pl.Series, actions: _Actions, wanted: str, gated: Gated) -> pl.Series:
    """Count every finding; give the rows for which some rule does ``wanted``."""
    chosen = constant(False, len(bits), pl.Boolean)
    for rule in _present(bits):
        marked = (bits & BIT[rule]) != 0
        for cap, count in caps.filter(marked).value_counts().iter_rows():
            gated.findings[cap][rule] += count
        where = actions.where(wanted, rule)
        if isinstance(where, pl.Series):
            chosen = chosen | (marked & where.gather(caps))
        elif where:
            chosen = chosen | marked
    return chosen


def _present(bits: pl.Series) -> list[str]:
    """Give the rules that have a bit in any row."""
    distinct = bits.unique().to_list()
    union = 0
    for value in distinct:
        union |= value
    return [rule.id for rule in RULES if union & BIT[rule.id]]


def _refuse_repeated_keys(
    caps: pl.Series, keys: pl.Series, refuse: pl.Series, bits: pl.Series, gated: Gated
) -> tuple[pl.Series, pl.Series]:
    """Refuse (M011) each row whose key an earlier row of the same capture, not itself refused, has."""
    places = keys ^ (caps.cast(pl.UInt64) * 0x9E3779B97F4A7C15)
    standing = places.filter(~refuse) if refuse.any() else places
    if standing.n_unique() == len(standing):
        return refuse, bits
    ranked = pl.DataFrame({"place": places, "refuse": refuse, "cap": caps}).with_row_index("row")
    repeated = ranked.filter(~pl.col("refuse")).filter(~pl.col("place").is_first_distinct())
    for cap, count in repeated["cap"].value_counts().iter_rows():
        gated.findings[cap]["M011"] += count
    mark = constant(False, len(keys), pl.Boolean).scatter(repeated["row"], values=True)
    return refuse | mark, bits | mark.cast(pl.UInt32) * BIT["M011"]


def _split(
    table: Table,
    frame: pl.DataFrame,
    keys: pl.Series,
    bits: pl.Series,
    refuse: pl.Series,
    actions: _Actions,
    gated: Gated,
) -> None:
    """Divide the rows into those that pass, with flag bits alone, and those that are refused."""
    flags = bits
    for rule in _present(bits):
        where = actions.where(FLAG, rule)
        if isinstance(where, pl.Series):
            flags = flags & ~((~where.gather(frame["cap"])).cast(pl.UInt32) * BIT[rule])
        elif not where:
            flags = flags & (0xFFFFFFFF ^ BIT[rule])
    whole = frame.with_columns(bits=flags, key_hash=keys)
    if not refuse.any():
        gated.passed[table.name] = whole
        gated.refused[table.name] = (
            whole.select("cap", "key_hash", "bits").clear().with_columns(row=pl.lit(0, pl.UInt32))
        )
        return
    gated.passed[table.name] = whole.filter(~refuse)
    gated.refused[table.name] = (
        pl.DataFrame({"cap": frame["cap"], "key_hash": keys, "bits": bits}).with_row_index("row").filter(refuse)
    )
