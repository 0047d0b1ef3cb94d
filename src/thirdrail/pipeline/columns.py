"""Which columns a table's writer knew at an offset: later ones it neither wrote nor compared (decision 11)."""

from collections.abc import Mapping

from thirdrail.pipeline.changes import Unknown

NEVER = 2**62
"""Where a column comes that a table has not got yet: above all offsets."""


class ColumnsSince:
    """Table → column → the offset of one log and partition at which it came; columns of the first day are not in."""

    def __init__(self, since: Mapping[str, Mapping[str, int]]) -> None:
        self._since = since

    @classmethod
    def of(
        cls, since: Mapping[str, Mapping[str, Mapping[tuple[str, str], int]]], source: tuple[str, str]
    ) -> "ColumnsSince":
        """Take what tables say of all logs for one log and partition."""
        return cls({name: {column: at.get(source, 0) for column, at in each.items()} for name, each in since.items()})

    def unknown_at(self, offset: int) -> Unknown:
        """Give the columns that came to each table above an offset."""
        return {name: frozenset(c for c, at in each.items() if at > offset) for name, each in self._since.items()}

    def next_step(self, offset: int, end: int) -> int:
        """Give the next offset at which some table got columns, at most ``end``: from there on rows are made anew."""
        return min((at for each in self._since.values() for at in each.values() if at > offset), default=end)
