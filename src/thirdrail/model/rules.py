"""The rules: what each checks, and what happens by default to what it finds.

Ids beginning with E are those of the GTFS-Realtime validator; M are the MTA's own.
Actions: ``reject`` (to quarantine), ``flag`` (kept, id in ``dq_flags``), ``info`` (counted alone).
"""

from dataclasses import dataclass

REJECT, FLAG, INFO = "reject", "flag", "info"
ACTIONS = (REJECT, FLAG, INFO)


@dataclass(frozen=True, slots=True)
class Rule:
    """One check. ``level`` is what it judges: a message, an entity or a row."""

    id: str
    level: str
    action: str
    meaning: str
    fixed: bool = False


RULES: tuple[Rule, ...] = (
    Rule("M001", "message", FLAG, "header over 90 s older than the fetch (railroads 360 s)"),
    Rule("M002", "message", FLAG, "header over 5 s ahead of the fetch; over 300 s the message is not believed"),
    Rule(
        "M003",
        "message",
        FLAG,
        "header older than one already seen within 10 minutes: not taken as a picture",
        fixed=True,
    ),
    Rule("M004", "message", FLAG, "same header time as the capture before, other body"),
    Rule("M005", "message", INFO, "same body as an earlier capture"),
    Rule(
        "M006",
        "message",
        FLAG,
        "no entities, or under 30 % of the last 10 minutes' most: not taken as a picture",
        fixed=True,
    ),
    Rule("M009", "message", REJECT, "not a GTFS-Realtime message, or an entity of it that does not parse", fixed=True),
    Rule("M010", "entity", FLAG, "entity id used before in the same message"),
    Rule("M011", "entity", REJECT, "key used before in the same message", fixed=True),
    Rule("M012", "entity", FLAG, "subway trip id that does not match the pattern; its parsed columns are null"),
    Rule("M016", "entity", INFO, "next stop predicted over 30 min before the header"),
    Rule("M020", "entity", INFO, "subway train without movement for over 90 s; bus or railroad fix over 300 s old"),
    Rule("M021", "entity", INFO, "vehicle time over 60 s after the header"),
    Rule("M026", "row", FLAG, "a time in milliseconds; repaired"),
    Rule("M028", "entity", FLAG, "start date missing, malformed, or over a day off the header's date"),
    Rule("M029", "entity", INFO, "unassigned train whose first stop is over 5 min before the header"),
    Rule("M032", "entity", FLAG, "alert whose period ends before it starts, or touched over 60 s after the header"),
    Rule("M033", "entity", INFO, "alert type that is not in the table of ranks"),
    Rule("M035", "row", INFO, "SIRI: expected arrival is the answer's time + 1 s, a stand-in for one in the past"),
    Rule("M036", "row", FLAG, "a local time that cannot be read, or a return before the outage"),
    Rule("M038", "row", INFO, "a local time of the hour that comes twice when summer time ends; the first is taken"),
    Rule("M039", "row", REJECT, "refused by a destination although it had passed our checks", fixed=True),
    Rule("E001", "row", REJECT, "a time outside 2005 to 2033"),
    Rule("E026", "entity", REJECT, "latitude or longitude outside the globe, or not a number"),
    Rule("E038", "message", INFO, "GTFS-Realtime version other than 1.0 and 2.0"),
    Rule("E040", "row", REJECT, "stop time update without stop id and without stop sequence"),
)
"""``fixed``: change keeping or the unique key rest on it, so the action cannot be configured."""

BY_ID: dict[str, Rule] = {rule.id: rule for rule in RULES}
BIT: dict[str, int] = {rule.id: 1 << place for place, rule in enumerate(RULES)}


def rule_ids(bits: int) -> list[str]:
    """Give the sorted ids of the rules whose bit is set."""
    return sorted(rule for rule, bit in BIT.items() if bits & bit)


def action(severities: dict[str, dict[str, str]], feed_id: str, rule_id: str) -> str:
    """Give the action in force for a feed: its own, else that of ``*``, else the default."""
    for scope in (feed_id, "*"):
        configured = severities.get(scope, {}).get(rule_id)
        if configured is not None:
            return configured
    return BY_ID[rule_id].action
