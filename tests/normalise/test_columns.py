"""Single columns: times, enums, subway ids."""

import polars as pl

from thirdrail.normalise import enums, nyct
from thirdrail.normalise.times import instants


def test_zero_and_absent_times_are_unknown_and_milliseconds_are_repaired() -> None:
    found = instants(pl.Series([0, None, 1_700_000_000, 1_700_000_000_123], dtype=pl.UInt64))

    assert found.values.dt.timestamp("us").to_list() == [None, None, 1_700_000_000_000_000, 1_700_000_000_000_000]
    assert found.repaired is not None
    assert found.repaired.to_list() == [False, False, False, True]
    assert found.impossible is None


def test_times_outside_2005_to_2033_are_marked_and_never_wrap_around() -> None:
    found = instants(pl.Series([1, 2**64 - 1, 1_700_000_000], dtype=pl.UInt64))

    assert found.impossible is not None
    assert found.impossible.to_list() == [True, True, False]
    assert found.values.null_count() == 2


def test_negative_times_are_impossible() -> None:
    found = instants(pl.Series([-5, 1_700_000_000], dtype=pl.Int64))

    assert found.impossible is not None
    assert found.impossible.to_list() == [True, False]


def test_an_unknown_enum_number_survives_by_name() -> None:
    numbers = pl.Series([0, 99, None], dtype=pl.Int32)

    assert enums.names(numbers, enums.OCCUPANCY_STATUS).to_list() == ["EMPTY", "UNKNOWN_99", None]
    assert enums.names(numbers, enums.STOP_RELATIONSHIP, "SCHEDULED").to_list() == [
        "SCHEDULED",
        "UNKNOWN_99",
        "SCHEDULED",
    ]


def test_subway_trip_ids_are_taken_apart_and_odd_ones_only_lose_their_parts() -> None:
    ids = ["097550_1..S03R", "-00050_GS.N01R", "126400_7X..34ST-11M", "129000_7..MAIN ST34", "050350_0"]
    parsed = {row["trip_id"]: row for row in nyct.parse_trip_ids(pl.Series(ids)).iter_rows(named=True)}

    assert (parsed[ids[0]]["origin"], parsed[ids[0]]["trip_id_route"], parsed[ids[0]]["trip_path"]) == (
        97550,
        "1",
        "03R",
    )
    assert parsed[ids[1]]["origin"] == -50
    assert parsed[ids[2]]["trip_id_route"] == "7X"
    assert parsed[ids[3]]["trip_path"] == "MAIN ST34"
    assert not parsed[ids[4]]["matched"]


def test_origins_round_to_whole_seconds() -> None:
    offsets = nyct.origin_offset_us(pl.Series([97550, 89166, -50]))

    assert (offsets // 1_000_000).to_list() == [58530, 53500, -30]


def test_platforms_lose_their_direction_letter_alone() -> None:
    assert nyct.parent_stop_ids(pl.Series(["127N", "127S", "127", "H01N", None])).to_list() == [
        "127",
        "127",
        "127",
        "H01",
        None,
    ]
