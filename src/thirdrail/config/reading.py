"""From a file to the settings: what is unknown or cannot be is refused, by its path, with what was meant perhaps."""

import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import msgspec

from thirdrail.config.reference import keys
from thirdrail.config.settings import Config
from thirdrail.errors import ConfigError
from thirdrail.model.feeds import BY_ID as FEEDS
from thirdrail.model.rules import ACTIONS
from thirdrail.model.rules import BY_ID as RULES
from thirdrail.model.tables import BY_NAME as TABLES

_FEED_ID = re.compile(r"[a-z0-9_]{1,60}")


def load(path: Path | None) -> Config:
    """Give the configuration of a file, or the defaults without one.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or a key or value of it is wrong, named by its path.
    """
    if path is None:
        return Config()
    try:
        raw = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is no TOML: {error}") from error
    _check_severities(raw.get("severities"), raw.get("feeds"), path)
    _check_feeds(raw.get("feeds"), path)
    _check_tables(raw.get("tables"), path)
    _check_catalog(raw.get("catalog"), path)
    try:
        return msgspec.convert(raw, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{path}: {_readable(str(error))}", hint="thirdrail config reference lists every key"
        ) from error


def _readable(message: str) -> str:
    """Give msgspec's message with the path first: ``spool.retention_dayz: unknown key``."""
    text, _, place = message.partition(" - at `$")
    where = place.rstrip("`").lstrip(".")
    if "unknown field" in text:
        key = f"{where}.{text.split('`')[1]}".lstrip(".")
        near = get_close_matches(key, [name for name, _, _, _ in keys()], n=1)
        return f"{key}: unknown key" + (f"; did you mean {near[0]}?" if near else "")
    return f"{where}: {text[:1].lower()}{text[1:]}" if where else text


def _check_feeds(feeds: object, path: Path) -> None:
    """Refuse feeds of which no address is known, and zones that there are not; the rest is checked with all else."""
    for feed_id, own in feeds.items() if isinstance(feeds, dict) else ():
        if not isinstance(own, dict):
            continue
        if feed_id not in FEEDS and "url" not in own:
            near = get_close_matches(feed_id, FEEDS, n=3, cutoff=0.4)
            hint = f"did you mean {', '.join(near)}?" if near else "thirdrail feeds list shows those declared"
            raise ConfigError(f"{path}: feeds.{feed_id}: no feed has this id, and it has no url of its own", hint=hint)
        if not _FEED_ID.fullmatch(feed_id):
            raise ConfigError(f"{path}: feeds.{feed_id}: an id is of small letters, digits and underscores")
        zone = own.get("timezone", "UTC")
        if zone not in available_timezones():
            raise ConfigError(
                f"{path}: feeds.{feed_id}.timezone: no zone is called {zone!r}", hint="as in America/New_York"
            )


def _check_tables(tables: object, path: Path) -> None:
    """Refuse tables that there are not; what they hold is checked with all else."""
    for name in tables if isinstance(tables, dict) else ():
        if name not in TABLES:
            near = get_close_matches(name, TABLES, n=3, cutoff=0.4)
            hint = f"did you mean {', '.join(near)}?" if near else f"tables: {', '.join(TABLES)}"
            raise ConfigError(f"{path}: tables.{name}: no table is called so", hint=hint)


def _check_catalog(catalog: object, path: Path) -> None:
    """Refuse a catalog elsewhere without its address, and a secret in an address; the rest is checked with all else."""
    if not isinstance(catalog, dict):
        return
    uri = str(catalog.get("uri", ""))
    if catalog.get("type", "sqlite") != "sqlite" and not uri:
        raise ConfigError(f"{path}: catalog.uri: the address of the {catalog['type']} catalog is missing")
    if urlsplit(uri).password:
        hint = "leave it out, and set PGPASSWORD (PostgreSQL) or THIRDRAIL_REST_TOKEN (REST)"
        raise ConfigError(f"{path}: catalog.uri: a password does not belong into a file", hint=hint)


def _check_severities(severities: object, feeds: object, path: Path) -> None:
    """Refuse feeds, rules and actions that there are not; their tables' shape is checked with the rest."""
    known = {*FEEDS, *(feeds if isinstance(feeds, dict) else ())}
    for feed_id, actions in severities.items() if isinstance(severities, dict) else ():
        if feed_id != "*" and feed_id not in known:
            hint = f'"*" for all, or one of {", ".join(sorted(known))}'
            raise ConfigError(f"{path}: severities.{feed_id}: no feed has this id", hint=hint)
        for rule, action in actions.items() if isinstance(actions, dict) else ():
            place = f"{path}: severities.{feed_id}.{rule}"
            if rule not in RULES:
                raise ConfigError(f"{place}: no rule has this id", hint=f"rules: {', '.join(RULES)}")
            if RULES[rule].fixed:
                raise ConfigError(f"{place}: what this rule does cannot be changed: {RULES[rule].meaning}")
            if action not in ACTIONS:
                raise ConfigError(f"{place}: {action!r} is none of {', '.join(ACTIONS)}")
