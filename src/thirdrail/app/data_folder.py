"""A data folder: its stamp, and whether it can be used."""

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import msgspec
from pyiceberg.catalog.sql import SqlCatalog

from thirdrail import __version__
from thirdrail.config.settings import Config
from thirdrail.errors import DataFolderError, DataFolderMoved, DiskFull, NoDataYet
from thirdrail.sinks.iceberg.catalog import FILE_NAME, address_of, open_catalog
from thirdrail.sinks.iceberg.files import put_file
from thirdrail.sinks.iceberg.relocate import relocate

FORMAT_VERSION = 2
STAMP = "thirdrail.json"
LIVE, SIMULATED = "live", "simulated"
GIB = 1 << 30
_MEANS_SOMETHING_IN_A_LOCATION = frozenset("%?#*[]{}")


class Stamp(msgspec.Struct, frozen=True):
    """What a data folder says of itself: of what kind it is, who made it, and at which absolute path."""

    kind: str
    format_version: int
    path: str
    created_by: str = "an unknown version"


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A folder that holds a capture log and tables, and says so by its stamp."""

    path: Path
    kind: str = LIVE

    @property
    def spool(self) -> Path:
        """Where the capture log lies."""
        return self.path / "spool"

    @classmethod
    def existing(cls, path: Path, *kinds: str) -> "DataFolder":
        """Give a folder that was filled before; of any kind when none is named.

        Raises:
            NoDataYet: there is nothing.
            DataFolderError: a file, another program's folder, of another kind, a newer version's, or a moved one.
        """
        if path.is_file():
            raise DataFolderError(f"{path} is a file, not a data folder")
        if not (path / STAMP).exists():
            if _holds_other_files(path):
                raise DataFolderError(f"{path} is not a Third Rail data folder: it holds other files and no {STAMP}")
            raise NoDataYet(f"{path} holds no data yet", hint="fill it first: thirdrail replay PATH --feed ID")
        return cls(path, _checked_stamp(path, kinds or (LIVE, SIMULATED)))

    @classmethod
    def for_writing(cls, path: Path, *kinds: str) -> "DataFolder":
        """Give a folder to write into, made when missing, of the first of the kinds (default: live alone).

        Raises:
            DataFolderError: as for ``existing``, or it cannot be written.
        """
        try:
            return cls._for_writing(path, kinds or (LIVE,))
        except OSError as error:
            raise DataFolderError(f"{path} cannot be written: {error.strerror or error}") from error

    @classmethod
    def _for_writing(cls, path: Path, kinds: tuple[str, ...]) -> "DataFolder":
        check_path(path)
        if not path.is_file() and not (path / STAMP).exists() and not _holds_other_files(path):
            path.mkdir(parents=True, exist_ok=True)
            _put_stamp(path, Stamp(kinds[0], FORMAT_VERSION, str(path.absolute()), __version__))
        folder = cls.existing(path, *kinds)
        if not os.access(path, os.W_OK) or os.statvfs(path).f_flag & os.ST_RDONLY:
            raise DataFolderError(f"{path} cannot be written")
        return folder


def check_path(path: Path) -> None:
    """Refuse a path that no data folder can have.

    Raises:
        DataFolderError: naming the characters.
    """
    if foreign := _MEANS_SOMETHING_IN_A_LOCATION & set(str(path.absolute())):
        raise DataFolderError(
            f"{path} cannot be used: readers of Iceberg take {' '.join(sorted(foreign))} in a path for more",
            hint="give a folder without these characters",
        )


def relocated(old: Path, new: Path) -> tuple[DataFolder, list[str]]:
    """Take a folder that was moved (or copied) as it now lies: give it, and the tables that were written anew.

    Killed at any time, the same call goes on. Blocks.

    Raises:
        DataFolderError: there is no data folder at the new path, or it was filled at another one than the old.
        TableUnreadable: a table cannot be moved.
    """
    if not (new / STAMP).exists():
        raise DataFolderError(
            f"{new} is not a Third Rail data folder: it holds no {STAMP}",
            hint=f"move the folder first: mv {shlex.quote(str(old))} {shlex.quote(str(new))}",
        )
    stamp = _stamp(new)
    home = Path(stamp.path)
    old, new = Path(os.path.abspath(old)), new.absolute()  # noqa: PTH100 - the old path need not be there any more
    if home not in (old, new):
        raise DataFolderError(f"{new} was filled at {home}, not at {old}", hint=f"thirdrail relocate {home} {new}")
    if odd := _MEANS_SOMETHING_IN_A_LOCATION.intersection(str(new)):
        raise DataFolderError(f"{new}: Iceberg's readers trip over {' '.join(sorted(odd))} in a path")
    if home == new:
        return DataFolder.existing(new), []
    catalog = open_catalog(new, create=False) if (new / FILE_NAME).exists() or address_of(new) else None
    if catalog is not None and not isinstance(catalog, SqlCatalog):
        raise DataFolderError(f"{new}: its tables are listed by a REST catalog, whose server alone can move them")
    tables = [] if catalog is None else relocate(catalog, str(home), str(new))
    _put_stamp(new, msgspec.structs.replace(stamp, path=str(new)))
    return DataFolder.existing(new), tables


def _stamp(path: Path) -> Stamp:
    """Read what a folder says of itself.

    Raises:
        DataFolderError: it cannot be read.
    """
    try:
        return msgspec.json.decode((path / STAMP).read_bytes(), type=Stamp)
    except (msgspec.DecodeError, OSError) as error:
        raise DataFolderError(f"{path / STAMP} is damaged: {error}") from error


def _put_stamp(path: Path, stamp: Stamp) -> None:
    """Write the stamp, without which the folder would be foreign to us."""
    put_file(path / STAMP, msgspec.json.format(msgspec.json.encode(stamp), indent=2) + b"\n")


def _holds_other_files(path: Path) -> bool:
    """Whether there is anything but a stamp that another process is just writing."""
    return path.is_dir() and any(not each.name.startswith(f".{STAMP}") for each in path.iterdir())


def _checked_stamp(path: Path, kinds: tuple[str, ...]) -> str:
    """Give the folder's kind; refuse another kind, a newer format, or another path than its tables name."""
    stamp = _stamp(path)
    kind, version, home = stamp.kind, stamp.format_version, stamp.path
    if kind not in kinds:
        wanted = " or ".join(kinds)
        raise DataFolderError(
            f"{path} holds {kind} data; this command wants {wanted} data", hint="give another --data folder"
        )
    if version > FORMAT_VERSION:
        raise DataFolderError(
            f"{path} was written by a newer version ({stamp.created_by}, format {version}; "
            f"this one knows {FORMAT_VERSION})",
            hint="use that version, or another --data folder",
        )
    if version < FORMAT_VERSION:
        raise DataFolderError(
            f"{path} was written by an older version ({stamp.created_by}, format {version}; "
            f"this one writes {FORMAT_VERSION} and does not convert it)",
            hint="`captures export` with the older version, then `replay` into another folder",
        )
    if Path(home) != path.absolute() and not (Path(home).exists() and Path(home).samefile(path)):
        raise DataFolderMoved(
            f"{path.absolute()} was filled at {home}: its tables name files by that path",
            hint=f"thirdrail relocate {shlex.quote(home)} {shlex.quote(str(path.absolute()))}",
        )
    return kind


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes free on the data folder's disk, and below how many nothing is taken in."""

    free: int
    reserve: int

    @property
    def shortage(self) -> str | None:
        """The sentence to say when free space lies below the reserve."""
        if self.free >= self.reserve:
            return None
        return f"{self.free / 1e9:,.1f} GB free, below the reserve of {self.reserve / 1e9:,.1f} GB"


def disk(folder: DataFolder, config: Config) -> Disk:
    """Give free space and reserve; costs microseconds."""
    usage = shutil.disk_usage(folder.path)
    reserve = max(GIB, usage.total // 50) if config.spool.reserve_gb is None else int(config.spool.reserve_gb * 1e9)
    return Disk(usage.free, reserve)


def check_disk(folder: DataFolder, config: Config) -> None:
    """Refuse to take in more when the disk is nearly full.

    Raises:
        DiskFull: free space lies below the reserve.
    """
    shortage = disk(folder, config).shortage
    if shortage:
        raise DiskFull(
            f"{folder.path} has {shortage}: nothing was taken in",
            hint="free some space, or set spool.reserve_gb in the configuration",
        )
