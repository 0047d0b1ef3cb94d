"""SQL over the tables: read-only, one snapshot per table, up to a common position.

``feed_messages`` is committed last, so its position is one that every table has reached: rows above it are hidden
until their capture is complete everywhere.
"""

import re
from collections.abc import Collection, Sequence
from contextlib import suppress

import duckdb
import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.manifest import DataFile

from thirdrail.errors import NoDataYet, QueryError
from thirdrail.model.tables import BY_NAME, COMMITS, FEED_MESSAGES, NAMESPACE, TABLES
from thirdrail.query.asked import Asked, asked, stand_in
from thirdrail.query.connection import locked, show
from thirdrail.query.views import MACROS, NEWEST, Needed, View, needed
from thirdrail.schedule.stations import NAMES, subway_table
from thirdrail.sinks.iceberg.reader import Days, PinnedTable, files_of, pin

_VANISHED = (duckdb.IOException, duckdb.PermissionException, duckdb.InvalidInputException, FileNotFoundError)
"""What a reader hears of a data file or manifest that another program has deleted.

DuckDB, locked, looks for a missing file's name as a folder and is not permitted to; in a store, Arrow tells DuckDB.
"""

FEW_FILES = 100
"""So many are opened sooner (0.4 ms each) than a query is explained, which is to open DuckDB once more."""

_PICTURED = {name for name in FEED_MESSAGES.names() if name in MACROS["pictures_at"]}
"""What pictures want of ``feed_messages``."""

_EXPLAIN = re.compile(r"\s*EXPLAIN(\s+ANALYZE\b)?(\s*\([^()]*\))?\s*", re.IGNORECASE)


class Warehouse:
    """The tables and views of one catalog, for reading."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def sql(self, query: str) -> pa.Table:
        """Run one query on fresh snapshots; give the result.

        A data file that another program deleted while we read is one retry on the newest snapshots.

        Raises:
            QueryError: the SQL is wrong, with its place, or would write.
            NoDataYet: there are no tables.
        """
        _refuse_writing(query)
        try:
            return self._run(query)
        except _VANISHED:
            return self._run_again(query)
        except duckdb.Error as error:
            raise QueryError(str(error).strip()) from error

    def _run_again(self, query: str) -> pa.Table:
        try:
            return self._run(query)
        except (duckdb.Error, *_VANISHED) as error:
            raise QueryError(str(error).strip()) from error

    def _run(self, query: str) -> pa.Table:
        try:
            with self.connect(query) as connection:
                return connection.sql(query).to_arrow_table()
        except duckdb.CatalogException:  # a name that is wrong: the suggestion needs to know them all
            with self.connect() as connection:
                return connection.sql(query).to_arrow_table()

    def connect(self, query: str | None = None) -> duckdb.DuckDBPyConnection:
        """Give a DuckDB connection that holds the tables, views and macros, pinned; those alone that a query names.

        It can open the pinned data files and nothing else, and writes nothing to the disk. Files that cannot hold what
        the query asks for are not opened: by the bounds of time and offset, and, of tables that it asks for pictures
        alone, by the captures that make up those pictures.
        """
        need = needed(query)
        try:
            pinned, spans = self._pin(query, need)
        except NoSuchTableError as error:
            raise NoDataYet("there are no tables yet", hint="thirdrail replay PATH --feed ID") from error
        messages = pinned[FEED_MESSAGES.name]
        files = {name: _holding(table, table.files, spans.get(name)) for name, table in pinned.items()}
        if need.moments:
            _keep_pictures(files, pinned, need)
        connection = locked([(table, files[name]) for name, table in pinned.items()])
        for name, table in pinned.items():
            is_for_pictures = table is messages and name not in need.whole
            show(connection, table, files[name], messages, _PICTURED if is_for_pictures else None)
        _complete(connection, need.macros, need.views, messages)
        return connection

    def _pin(self, query: str | None, need: Needed) -> tuple[dict[str, PinnedTable], dict[str, list[Asked]]]:
        """Pin ``feed_messages`` first, so that the others are at least as far; give what is asked of each, too."""
        # Pictures end with the newest poll, so whoever asks for some wants to know of it before.
        messages = pin(self._catalog, FEED_MESSAGES) if need.macros else None
        spans: dict[str, list[Asked]] = {}
        if query is not None and self._is_large(need.tables):
            spans = _asked_of(query, need.tables, need.macros, need.views, messages)
        if messages is None:
            messages = pin(self._catalog, FEED_MESSAGES, days=_days(FEED_MESSAGES.name, need.tables, spans))
        found = {FEED_MESSAGES.name: messages}
        for table in TABLES:
            if table.name in need.tables and table is not FEED_MESSAGES:
                found[table.name] = pin(self._catalog, table, days=_days(table.name, need.tables, spans))
        if COMMITS.name in need.tables:
            with suppress(NoSuchTableError):  # a folder that an older version wrote has none yet
                found[COMMITS.name] = pin(self._catalog, COMMITS)
        return found, spans

    def _is_large(self, tables: Collection[str]) -> bool:
        """Whether some table has so many files that it is worth asking which of them a query wants."""
        names = {table.name for table in TABLES} & set(tables)
        return any(files_of(self._catalog.load_table((NAMESPACE, name))) > FEW_FILES for name in names)


def open_warehouse(catalog: Catalog) -> Warehouse:
    """Give the reading side of a catalog."""
    return Warehouse(catalog)


def _asked_of(
    query: str, tables: Collection[str], macros: Sequence[str], views: Sequence[View], messages: PinnedTable | None
) -> dict[str, list[Asked]]:
    """Give what a query asks of each table, over stand-ins; nothing of one that it may want whole."""
    named = {name: BY_NAME[name] for name in {*tables, FEED_MESSAGES.name}}
    with locked([]) as connection:
        for table in named.values():
            stand_in(connection, table)
        _complete(connection, macros, views, messages)
        return asked(connection, query, named)


def _complete(
    connection: duckdb.DuckDBPyConnection, macros: Sequence[str], views: Sequence[View], messages: PinnedTable | None
) -> None:
    """Make what stands on the tables. ``messages``: whose newest poll stands for now; macros cannot be without."""
    for name in NAMES:
        connection.register(f"_{name}", subway_table(name))
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM _{name}")
    for macro in macros:
        assert messages is not None  # noqa: S101 - pinned first for their sake
        connection.execute(macro.replace(NEWEST, f"to_timestamp({(messages.newest_fetched_at or 0) / 1e6!r})"))
    for view in views:
        connection.execute(f"CREATE VIEW {view.name} AS {view.sql}")


def _days(name: str, tables: Collection[str], spans: dict[str, list[Asked]]) -> Days | None:
    """Give the days that are asked of a table: none of one that is there for its positions alone, None for every day."""
    if name not in tables:
        return 1, 0
    days = [each.days() for each in spans.get(name, ())]
    return (min(first for first, _ in days), max(last for _, last in days)) if days else None


def _holding(table: PinnedTable, files: Sequence[DataFile], spans: Sequence[Asked] | None) -> list[DataFile]:
    """Give those files of a table that can hold what a scan asks for, by their bounds; all when nothing is known."""
    if spans is None:
        return list(files)
    day, order = table.table.day, table.table.order
    return [
        file
        for file in files
        if any(
            _meet(table.bounds(file, day), each.times) and _meet(table.bounds(file, order), each.offsets)
            for each in spans
        )
    ]


def _meet(bounds: tuple[int | None, int | None], span: tuple[int, int]) -> bool:
    """Whether values within bounds, which may be unknown, can lie within a span (both ends included)."""
    low, high = bounds
    return low is None or high is None or (low <= span[1] and high >= span[0])


def _keep_pictures(files: dict[str, list[DataFile]], pinned: dict[str, PinnedTable], need: Needed) -> None:
    """Leave out files of other captures than those that make up the pictures."""
    messages = pinned[FEED_MESSAGES.name]
    wanted: list[Asked] = []
    for moment in need.moments:
        query = f"SELECT full_offset, capture_offset FROM pictures_at({moment})"
        macros = [MACROS["pictures_at"]]
        spans = _asked_of(query, (), macros, (), messages) if len(messages.files) > FEW_FILES else {}
        held = _holding(messages, messages.files, spans.get(FEED_MESSAGES.name))
        try:
            with locked([(messages, held)]) as connection:
                show(connection, messages, held, messages, _PICTURED)
                _complete(connection, macros, (), messages)
                found = connection.sql(query).to_arrow_table().to_pylist()
        except duckdb.Error:
            return  # the query itself will say what is wrong with the time
        wanted += [Asked(offsets=(row["full_offset"], row["capture_offset"])) for row in found]
    for name, table in pinned.items():
        if name not in need.whole and table is not messages:
            files[name] = _holding(table, files[name], wanted)


def _refuse_writing(query: str) -> None:
    try:
        statements = duckdb.extract_statements(query)
    except duckdb.Error as error:
        raise QueryError(str(error).strip()) from error
    if not statements:
        raise QueryError("no query was given", hint="thirdrail sql 'SELECT * FROM predictions_now LIMIT 10'")
    if len(statements) > 1:
        raise QueryError("one query at a time, please")
    if statements[0].type is duckdb.StatementType.EXPLAIN and (prefix := _EXPLAIN.match(query)):
        _refuse_writing(query[prefix.end() :])  # with ANALYZE, what is explained is done
    elif statements[0].type is not duckdb.StatementType.SELECT:
        raise QueryError(
            f"{statements[0].type.name} is not for here: sql reads, it does not write",
            hint="for a copy use --format csv or json; any Iceberg reader can open the tables",
        )
