"""Day files that somebody took away: each file names the offset at which the next one begins."""

from contextlib import closing, suppress

from thirdrail.capturelog.opening import connect, translated
from thirdrail.capturelog.segment import Segment
from thirdrail.errors import CapturesGone, LogDamaged
from thirdrail.model.records import Span


def hole_after(segment: Segment) -> Span | None:
    """Give the offsets that are missing between a file and the next; None where none are, or nobody can tell."""
    with suppress(LogDamaged, FileNotFoundError):
        named = segment.value("SELECT value FROM meta WHERE name = 'above'")
        if isinstance(named, bytes) and segment.above is not None and int(named) < segment.above:
            return Span(int(named), segment.above)
    return None


def refuse_hole(segment: Segment) -> None:
    """Refuse to read past a file's end where the next one is not there.

    Raises:
        CapturesGone: naming the offset that was expected and the one that was found.
    """
    hole = hole_after(segment)
    if hole is not None:
        raise CapturesGone(
            f"{segment.path} ends before offset {hole.start}, and the next file there begins at {hole.end}: "
            f"offsets {hole.start} to {hole.end - 1} are gone",
            hint=f"put the file that begins at {hole.start} back (….sqlite has it in its name), or accept the gap: "
            "thirdrail captures skip",
        )


def accept_hole(segment: Segment) -> None:
    """Let the log go on across a hole, durably: the file names the next one that there is."""
    with translated(segment.path), closing(connect(segment.path, "mode=rw")) as db:
        db.execute("UPDATE meta SET value = ? WHERE name = 'above'", (str(segment.above).encode(),))
