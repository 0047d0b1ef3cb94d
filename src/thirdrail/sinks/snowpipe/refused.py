"""A staged file that Snowflake has not loaded: what the log is told of it, and what a person is."""

from thirdrail.errors import StagedFileRefused
from thirdrail.model.records import Refused, Rejection
from thirdrail.model.tokens import Token
from thirdrail.sinks.snowpipe.names import StagedName
from thirdrail.sinks.snowpipe.ports import Outcome


def rejection(table: str, name: StagedName, fate: Outcome, had: Token | None, now: int) -> Rejection:
    """Give what the log is told of a table's file; ``had`` is the last row that came by a channel (now: µs UTC)."""
    begins = max(Token(name.start), Token(0) if had is None else had.next)
    errors = fate.errors if fate.rows else 0
    place = Refused(
        first=begins.text(name.log_id),
        last=Token(name.end).text(name.log_id),
        count=errors,
        rows=fate.rows + errors,
        file=name.path,
    )
    return Rejection(
        rejected_at=now,
        sink="snowflake",
        table=table,
        feed_id="",
        reason=f"Snowflake says {fate.status}, with {fate.errors:,} errors; the first: {fate.error or 'not told'}",
        rows=({"file": name.path, "loaded": fate.rows, "errors": fate.errors},),
        places=(place,),
    )


def refusal(table: str, name: StagedName, why: str) -> StagedFileRefused:
    """Give the error that stops the sink until a person has settled it."""
    return StagedFileRefused(
        f"{table}: file {name.path} (captures {name.start} to {name.end - 1}): {why}",
        hint="mend the table or pipe (thirdrail snowflake ddl --diff), stop `run` and have the rows sent again "
        "(thirdrail quarantine replay --rule M039), or give them up (accept ID; thirdrail snowflake status has it)",
    )
