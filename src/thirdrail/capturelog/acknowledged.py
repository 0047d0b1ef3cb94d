"""How far each reader is, in a small SQLite file of its own; it only permits deletion."""

from contextlib import closing
from pathlib import Path

from thirdrail.capturelog.opening import connect, connect_for_reading, translated
from thirdrail.model.records import Position


class Acknowledged:
    """Reader → position. Rollback journal, not WAL: one row is written, and readers leave no files behind."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, reader: str, position: Position) -> None:
        """Note a reader's position; it never goes back, so repeating is harmless.

        A power cut may take the last of them back (``synchronous=NORMAL``), which keeps captures longer.
        """
        with translated(self._path), closing(connect(self._path, "mode=rwc")) as db:
            db.execute("PRAGMA journal_mode=DELETE")
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute("CREATE TABLE IF NOT EXISTS positions (reader TEXT PRIMARY KEY, position INTEGER NOT NULL)")
            db.execute(
                "INSERT INTO positions VALUES (?, ?) "
                "ON CONFLICT (reader) DO UPDATE SET position = max(position, excluded.position)",
                (reader, position),
            )

    def positions(self) -> dict[str, Position]:
        """Give every reader that ever acknowledged, with its position."""
        try:
            with translated(self._path), closing(connect_for_reading(self._path, "SELECT 1 FROM sqlite_schema")) as db:
                known = db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'positions'").fetchone()
                # Killed between making the file and its table: nobody has acknowledged anything.
                return dict(db.execute("SELECT reader, position FROM positions")) if known else {}
        except FileNotFoundError:
            return {}
