"""Which captures are believed (design 3a)."""

from thirdrail.quality.message_rules import Header, Recent, Verdict, judge

S = 1_000_000
START = 1_700_000_000 * S


def follow(*captures: tuple[int, int | None, int]) -> list[Verdict]:
    """Judge (seconds after start, header's seconds after start, entities) in order."""
    recent, verdicts = Recent(), []
    for number, (fetched, header, entities) in enumerate(captures):
        recent.arrive(START + fetched * S)
        at = None if header is None else START + header * S
        verdicts.append(
            judge(Header(START + fetched * S, at, entities, str(number)), recent, family="subway", outcome="ok")
        )
    return verdicts


def test_an_older_header_is_not_believed_until_ten_minutes_have_passed() -> None:
    first, replica, still, after = follow((0, 0, 100), (15, -30, 100), (600, -30, 100), (601, -20, 100))

    assert first.accepted
    assert not replica.accepted
    assert "M003" in replica.rule_ids
    assert not still.accepted
    assert after.accepted


def test_an_equal_header_is_fine_and_another_body_is_told() -> None:
    _, again = follow((0, 0, 100), (15, 0, 100))

    assert again.accepted
    assert "M004" in again.rule_ids


def test_a_hollow_message_is_believed_only_after_ten_minutes() -> None:
    _, hollow, thin, enough, nothing = follow((0, 0, 100), (15, 15, 0), (30, 30, 29), (45, 45, 30), (700, 700, 0))

    assert (hollow.accepted, hollow.outcome) == (False, "hollow")
    assert (thin.accepted, thin.outcome) == (False, "hollow")
    assert (enough.accepted, enough.outcome) == (True, "ok")
    assert nothing.accepted


def test_a_header_far_in_the_future_is_rejected_and_blinds_nothing_after_it() -> None:
    _, future, next_one = follow((0, 0, 100), (15, 316, 100), (30, 30, 100))

    assert (future.accepted, future.outcome) == (False, "rejected")
    assert "M002" in future.rule_ids
    assert next_one.accepted


def test_after_the_clock_steps_back_nothing_before_counts() -> None:
    _, _, after = follow((0, 0, 100), (7200, 7200, 100), (60, 60, 10))

    assert after.accepted


def test_a_missing_header_time_is_not_compared() -> None:
    _, without = follow((0, 0, 100), (15, None, 100))

    assert without.accepted
