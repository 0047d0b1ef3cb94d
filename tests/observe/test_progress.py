"""Alive is not moving."""

from thirdrail.observe.progress import Stage, standing


def test_a_stage_that_moved_within_its_bound_is_well() -> None:
    assert standing([Stage("sink", 100.0, 60.0)], 159.0) == {}


def test_a_stage_that_stands_is_named_with_how_long_and_how_long_it_may() -> None:
    found = standing([Stage("feed subway_l", 100.0, 60.0), Stage("sink", 155.0, 60.0)], 170.0)
    assert found == {"feed subway_l": "no progress for 70 s, 60 s are allowed"}


def test_what_a_stage_says_of_itself_counts_at_once() -> None:
    assert standing([Stage("sink", 170.0, 60.0, "SUCCESS, and nothing moves")], 170.0) == {
        "sink": "SUCCESS, and nothing moves"
    }
