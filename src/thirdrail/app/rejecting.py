"""Rows that a destination refused: the log is told of each once, and a person has them sent again or gives them up."""

import csv
import io
from collections.abc import Iterable, Sequence

import msgspec
import polars as pl

from thirdrail.app.data_folder import DataFolder
from thirdrail.capturelog.day_files import PARTITION
from thirdrail.capturelog.spool import Spool
from thirdrail.errors import NoInput
from thirdrail.model.records import Position, Refused, Rejection, ReplayOrder, Settled
from thirdrail.model.tables import BY_NAME, Table
from thirdrail.model.tokens import Token, in_order, parsed, token_of
from thirdrail.observe.clock import SystemClock
from thirdrail.pipeline.orders import records_of, where
from thirdrail.pipeline.refusals import quarantine_id


class OpenRejection(msgspec.Struct, frozen=True, kw_only=True):
    """A rejection that nobody has settled; ``place`` is None where an older version did not name it."""

    quarantine_id: str
    sink: str
    table: str
    feed_id: str
    reason: str
    place: Refused | None = None

    @property
    def where(self) -> str:
        """Its place, for a person."""
        return "a place that an older version did not note" if self.place is None else where(self.place)


def tell(log: Spool, rejection: Rejection) -> None:
    """Append a rejection, without the rows that the log was told of before.

    A process that was killed before what it sent was durable comes to the same rows again.
    """
    places = rejection.places
    if places:
        first = min(_token(each.first, log, rejection.table).offset for each in places)
        known = {each for told in _told(log, rejection.table, first) for each in told.places}
        left = [number for number, each in enumerate(places) if each not in known]
        if not left:
            return
        rows = tuple(rejection.rows[number] for number in left)
        rejection = msgspec.structs.replace(rejection, rows=rows, places=tuple(places[number] for number in left))
    log.append(PARTITION, [(rejection, None)])


def told_of(log: Spool, table: str, channel: str, since: Position) -> int:
    """Give how many refused rows of a table's channel the log was told of, by its records from a position on."""
    return max((each.counted for each in _told(log, table, since) if each.channel == channel), default=0)


def is_settled(log: Spool, table: str, file: str, since: Position) -> bool:
    """Whether a person has settled that a table's staged file was refused, by the log's records from a position on."""
    ids: set[str] = set()
    for offset, record, _ in log.orders(since):
        if isinstance(record, Rejection) and record.table == table:
            numbers = (number for number, place in enumerate(record.places) if place.file == file)
            ids.update(quarantine_id(log.log_id, offset, table, None, number) for number in numbers)
        elif isinstance(record, ReplayOrder) and any(each.quarantine_id in ids for each in record.settled):
            return True
    return False


def _told(log: Spool, table: str, since: Position) -> list[Rejection]:
    found = (entry.record for entry in log.orders(since))
    return [each for each in found if isinstance(each, Rejection) and each.table == table]


def open_rejections(folder: DataFolder) -> dict[str, OpenRejection]:
    """Give what the log holds of rejections that are not settled, by quarantine id, oldest first."""
    log = Spool.open(folder.spool, SystemClock(), writable=False)
    try:
        return rejections_in(log)
    finally:
        log.close()


def rejections_in(log: Spool) -> dict[str, OpenRejection]:
    """Give the rejections of an open log that are not settled."""
    found = _all_in(log)
    for each in _settled_in(log):
        found.pop(each.quarantine_id, None)
    return found


def _all_in(log: Spool) -> dict[str, OpenRejection]:
    found: dict[str, OpenRejection] = {}
    for offset, record, _ in log.orders(0):
        if isinstance(record, Rejection):
            for number in range(len(record.rows)):
                name = quarantine_id(log.log_id, offset, record.table, None, number)
                found[name] = OpenRejection(
                    quarantine_id=name,
                    sink=record.sink,
                    table=record.table,
                    feed_id=record.feed_id,
                    reason=record.reason,
                    place=record.places[number] if record.places else None,
                )
    return found


def _settled_in(log: Spool) -> list[Settled]:
    orders = (entry.record for entry in log.orders(0))
    return [each for order in orders if isinstance(order, ReplayOrder) for each in order.settled]


def given_up(rejections: Iterable[OpenRejection]) -> list[Settled]:
    """Give what an order says of rejections that are accepted as lost."""
    return [Settled(quarantine_id=each.quarantine_id, sink=each.sink, feed_id=each.feed_id) for each in rejections]


def sent_again(log: Spool, chosen: Iterable[OpenRejection], payloads: str | None) -> list[Settled]:
    """Give what an order says of rejections whose rows are to be sent again, each exactly once.

    ``payloads`` is what Snowflake's error tables keep of refused rows; it is needed where the place of a rejection
    holds rows that were taken, too.

    Raises:
        NoInput: which rows were refused cannot be told, or the log no longer holds their captures.
    """
    rows = [] if payloads is None else parsed_payloads(payloads)
    desk = _Desk(log, rows)
    return [desk.settled(each) for each in chosen]


class _Desk:
    """Finds out which rows rejections are about, none of them twice."""

    def __init__(self, log: Spool, rows: Sequence[dict[str, object]]) -> None:
        self._log, self._rows, self._begins = log, rows, log.first(PARTITION)
        self._sent = {span for each in _settled_in(log) for span in each.spans}
        self._orders = [offset for offset, record, _ in log.orders(0) if isinstance(record, ReplayOrder)]
        self._alone: dict[str, list[Token]] = {}
        for each in _all_in(log).values():
            if each.place is not None and each.place.first == each.place.last:
                self._alone.setdefault(each.table, []).append(_token(each.place.first, log, each.table))

    def settled(self, each: OpenRejection) -> Settled:
        """Give what an order says of it: the first and last places of what is to be sent again."""
        place, name = each.place, each.quarantine_id
        if place is None:
            raise NoInput(
                f"{name}: the version that noted it did not note the rows' place",
                hint=f"they cannot be sent again; to have done with it: thirdrail quarantine accept {name}",
            )
        first, last = (_token(text, self._log, each.table) for text in (place.first, place.last))
        if records_of([(first, last)])[0].start < self._begins:
            raise NoInput(
                f"{name}: the log begins at {self._begins}, above {where(place)}: their captures are gone",
                hint=f"they cannot be sent again; to have done with it: thirdrail quarantine accept {name}",
            )
        spans = self._known(each.table, place, first, last)
        self._sent.update(spans)
        if sum(place.count if one != other else 1 for one, other in spans) != place.count:
            raise NoInput(
                f"{name}: of {each.table}, {where(place)} were refused, and Snowflake did not say which; the payloads "
                f"given name {len(spans):,} that were not sent again before",
                hint=f"--refused FILE: of these {place.count:,} rows alone, what {each.table}'s error table keeps, one "
                "JSON object a line (docs/snowflake.md)",
            )
        # Rows that we did not even send are settled for themselves.
        but = tuple(
            token.text(self._log.log_id) for token in self._alone.get(each.table, ()) if first <= token <= last != first
        )
        return Settled(quarantine_id=name, sink=each.sink, feed_id=each.feed_id, spans=tuple(spans), but=but)

    def _known(self, table: str, place: Refused, first: Token, last: Token) -> list[tuple[str, str]]:
        if first == last or place.count == place.rows:
            found = [(place.first, place.last)]
        else:
            tokens = {token for row in self._rows for token in self._places_of(table, row) if first <= token <= last}
            found = [(token.text(self._log.log_id),) * 2 for token in sorted(tokens)]
        return [span for span in found if span not in self._sent]

    def _places_of(self, table: str, row: dict[str, object]) -> list[Token]:
        """Give where a row was sent: in its own record, or in that of an order that sent it again."""
        token = _row_token(BY_NAME[table], row)
        return [token, *(token._replace(offset=order) for order in self._orders if order > token.offset)]


def _token(text: str, log: Spool, table: str) -> Token:
    return parsed(text, log.log_id, table)


def _row_token(table: Table, row: dict[str, object]) -> Token:
    names = ("capture_offset", "entity_ordinal", table.place or "place", "change_kind", "target_table")
    kinds = {
        name: kind for name, kind in pl.DataFrame(table.arrow_schema.empty_table()).schema.items() if name in names
    }
    frame = pl.DataFrame([{name: row.get(name) for name in kinds}], schema=kinds)
    record = row.get("restored_by_offset") or row["capture_offset"]
    offsets = pl.Series([record], dtype=pl.Int64).to_arrow()
    return token_of(in_order(table, frame.to_arrow(), offsets), 0)


def parsed_payloads(text: str) -> list[dict[str, object]]:
    """Read payloads: a JSON object a line, or a column of them as a worksheet exports it (CSV).

    Raises:
        NoInput: there is none.
    """
    cells = (
        text.splitlines()
        if text.lstrip().startswith("{")
        else [c for row in csv.reader(io.StringIO(text)) for c in row]
    )
    found: list[dict[str, object]] = []
    for cell in cells:
        try:
            row = msgspec.json.decode(cell)
        except msgspec.DecodeError:
            continue
        if isinstance(row, dict):
            by_name = {str(name).lower(): value for name, value in row.items()}
            if isinstance(by_name.get("capture_offset"), int):
                found.append(by_name)
    if not found:
        raise NoInput("no line of the file is a refused row", hint="one JSON object a line, with capture_offset in it")
    return found
