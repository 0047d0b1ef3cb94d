"""The configuration: one TOML file, decoded into frozen structs; unknown keys are refused with their path.

No file is needed: every key has a default, with its reason beside it. Secrets never stand here.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from textwrap import wrap
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import msgspec
from msgspec import Meta

from thirdrail.errors import ConfigError
from thirdrail.model.feeds import BY_ID as FEEDS
from thirdrail.model.feeds import FORMATS, Feed, feed
from thirdrail.model.rules import ACTIONS
from thirdrail.model.rules import BY_ID as RULES
from thirdrail.model.tables import BY_NAME as TABLES

DEFAULT_LISTEN = "127.0.0.1:8001"
Action = Literal["reject", "flag", "info"]
_FEED_ID = re.compile(r"[a-z0-9_]{1,60}")


class SpoolConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The capture log on this disk."""

    retention_days: Annotated[
        float, Meta(gt=0, description="days of captures kept; three outlast a long weekend without anybody looking")
    ] = 3.0
    retention_gb: Annotated[
        float,
        Meta(
            gt=0, description="gigabytes of captures kept, whichever is reached first; the subway needs about 1 a day"
        ),
    ] = 5.0
    reserve_gb: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="free space below which nothing is taken in; default the larger of 1 GiB and 2 % of the disk"),
    ] = None


class PollerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How feeds are asked."""

    connect_timeout_seconds: Annotated[
        float, Meta(gt=0, description="to reach a server; the MTA's answer within a fraction of a second")
    ] = 5.0
    read_timeout_seconds: Annotated[
        float, Meta(gt=0, description="between two pieces of an answer; then the server has stopped")
    ] = 10.0
    total_timeout_seconds: Annotated[
        float, Meta(gt=0, description="for one answer as a whole: a server that drips must not hold a feed up")
    ] = 15.0
    max_body_mb: Annotated[
        float,
        Meta(gt=0, description="unpacked megabytes of one answer; the largest known, all buses, is under 10"),
    ] = 32.0
    requests_per_host: Annotated[
        int, Meta(gt=0, description="connections to one host at a time; enough for eight feeds every 15 s")
    ] = 4


class MaintenanceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How tables are cared for."""

    every_seconds: Annotated[
        float,
        Meta(
            ge=0,
            description="between two rounds in `run`; at a commit each 5 s, a table gets sixty small files in "
            "five minutes; oftener costs more than it spares readers; 0 leaves all care to `thirdrail maintain`",
        ),
    ] = 300.0
    replaced_minutes: Annotated[
        float,
        Meta(
            ge=0,
            description="minutes that a merged file stays once no snapshot names it; for readers that are still at it",
        ),
    ] = 60.0
    orphan_hours: Annotated[
        float,
        Meta(
            ge=1,
            description="hours that a file which nothing names stays; a writer may be about to commit it, "
            "and no commit takes a day",
        ),
    ] = 24.0
    snapshots: Annotated[
        int,
        Meta(
            ge=50,
            le=500,
            description="snapshots of a table that are kept at most; a commit's time grows with them (0.1 s at 50, "
            "0.5 s at 500), and fewer would go before `commits` has been told of them",
        ),
    ] = 50
    snapshot_hours: Annotated[
        float,
        Meta(
            ge=1,
            description="hours that a snapshot is kept once a newer one took its place, counted back from the table's "
            "last commit; an old one holds merged files on the disk; a day lets whoever reads by snapshot see "
            "yesterday where a table is quiet, an hour is what a slow reader needs",
        ),
    ] = 24.0


class CatalogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a new data folder's tables are listed; it remembers."""

    type: Annotated[
        Literal["sqlite", "postgresql", "rest"],
        Meta(
            description="what lists the tables: SQLite in the data folder needs no server; PostgreSQL or any Iceberg "
            "REST catalog, where other programs write beside us or a team reads"
        ),
    ] = "sqlite"
    uri: Annotated[
        str,
        Meta(
            description="of PostgreSQL (postgresql+psycopg://user@host/database) or REST (https://…); without secrets: "
            "PGPASSWORD, THIRDRAIL_REST_TOKEN"
        ),
    ] = ""
    warehouse: Annotated[
        str,
        Meta(
            description="location below which tables lie (file:///…, s3://bucket/…; of a REST catalog its "
            "warehouse's name); the data folder by default; S3 by AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY"
        ),
    ] = ""


class ObserveConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a run shows of itself."""

    listen: Annotated[
        str,
        Meta(
            pattern=r"^(off|[^\s:]+:[0-9]{1,5})$",
            description="address:port of /metrics, /livez, /readyz and /health, or off; this machine alone by default, "
            "since they ask for no password; where the default is taken, any free port",
        ),
    ] = DEFAULT_LISTEN
    logs: Annotated[
        Literal["human", "json"],
        Meta(
            description="sentences on standard output, or one JSON line per event on standard error, for machines that "
            "collect logs (docs/events.md); rotation is theirs"
        ),
    ] = "human"


class SnowflakeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Snowflake, for `sinks = ["iceberg", "snowflake"]`. What is empty here is taken from the environment."""

    ingestion_method: Annotated[
        Literal["snowpipe_streaming", "snowpipe"],
        Meta(
            description="snowpipe_streaming: rows through native channels, seconds old (v2); snowpipe: Parquet "
            "micro-batches on a stage, about a minute old (v1). Change it and restart: nothing else changes, no row is "
            "lost or doubled"
        ),
    ] = "snowpipe_streaming"
    account: Annotated[
        str, Meta(description="account identifier, as in myorg-myaccount; SNOWFLAKE_ACCOUNT by default")
    ] = ""
    user: Annotated[str, Meta(description="service user with a key pair; SNOWFLAKE_USER by default")] = ""
    role: Annotated[str, Meta(description="role that may insert; SNOWFLAKE_ROLE by default, else THIRDRAIL_INGEST")] = (
        ""
    )
    database: Annotated[
        str, Meta(description="database that holds the schema; SNOWFLAKE_DATABASE by default, else MTA")
    ] = ""
    schema: Annotated[
        str, Meta(description="schema that holds the tables; SNOWFLAKE_SCHEMA by default, else REALTIME")
    ] = ""
    warehouse: Annotated[
        str,
        Meta(description="for `snowflake doctor` and your queries; loading needs none; SNOWFLAKE_WAREHOUSE by default"),
    ] = ""
    private_key_path: Annotated[
        str,
        Meta(
            description="file with the user's private key (PKCS 8, PEM); SNOWFLAKE_PRIVATE_KEY_PATH by default, its "
            "passphrase in SNOWFLAKE_PRIVATE_KEY_PASSPHRASE alone"
        ),
    ] = ""
    url: Annotated[
        str,
        Meta(description="address of the account; https://ACCOUNT.snowflakecomputing.com by default; the emulator's"),
    ] = ""
    ca_file: Annotated[
        str, Meta(description="certificates to trust instead of the system's; for the emulator or a proxy of your own")
    ] = ""
    deployment: Annotated[
        str,
        Meta(
            pattern="^[a-z0-9_]{1,40}$",
            description="names our channels and staged files; two installations into the same tables need two names",
        ),
    ] = "main"
    default_pipes: Annotated[
        bool,
        Meta(description="use the pipe that Snowflake makes for every table, in place of those of `snowflake ddl`"),
    ] = False
    flush_seconds: Annotated[
        float,
        Meta(
            ge=0.1,
            le=30,
            description="snowpipe_streaming: rows wait for company at most this long; a request costs more than a row",
        ),
    ] = 0.5
    retry_seconds: Annotated[
        float,
        Meta(
            gt=0,
            description="a call is tried again for so long; then the sink says so and begins anew from what is "
            "committed (the client's own default is ten hours)",
        ),
    ] = 60.0
    stuck_seconds: Annotated[
        float,
        Meta(gt=0, description="rows that are sent and not committed for so long are a trouble that is said"),
    ] = 60.0
    batch_rows: Annotated[int, Meta(gt=0, description="snowpipe: rows that close a file early")] = 250_000
    batch_bytes: Annotated[
        int,
        Meta(gt=0, description="snowpipe: bytes of rows that close a file early; larger files cost less to load"),
    ] = 64 << 20
    batch_seconds: Annotated[
        float,
        Meta(
            gt=0,
            description="snowpipe: a file is submitted at least this often; oftener costs more and gains little, since "
            "Snowflake takes about a minute",
        ),
    ] = 7.0


class TableConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table, where it is to differ."""

    keep_days: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="whole UTC days with rows that are kept; older ones are dropped; all by default"),
    ] = None
    snapshots: Annotated[
        Annotated[int, Meta(ge=50, le=500)] | None, Meta(description="as maintenance.snapshots, of this table")
    ] = None
    snapshot_hours: Annotated[
        Annotated[float, Meta(ge=1)] | None, Meta(description="as maintenance.snapshot_hours, of this table")
    ] = None
    replaced_minutes: Annotated[
        Annotated[float, Meta(ge=0)] | None, Meta(description="as maintenance.replaced_minutes, of this table")
    ] = None
    orphan_hours: Annotated[
        Annotated[float, Meta(ge=1)] | None, Meta(description="as maintenance.orphan_hours, of this table")
    ] = None


class FeedConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One feed: where it is to differ from its declaration, or all of one that is not declared."""

    enabled: Annotated[
        bool | None, Meta(description="false leaves the feed out of `run`, true takes in one that is left out")
    ] = None
    url: Annotated[str, Meta(description="the address, sent as it stands")] = ""
    interval_seconds: Annotated[
        Annotated[float, Meta(ge=1)] | None, Meta(description="between two polls; the declared one by default")
    ] = None
    format: Annotated[Literal["", *FORMATS], Meta(description="how bodies are written; gtfs-realtime by default")] = ""  # type: ignore[valid-type]
    timezone: Annotated[str, Meta(description="zone of the service day; UTC for feeds that are not the MTA's")] = ""
    meaning: Annotated[str, Meta(description="what it carries, for people")] = ""
    headers: Annotated[dict[str, str], Meta(description="sent with every request; no secrets")] = {}
    key_env: Annotated[str, Meta(description="environment variable that holds the key")] = ""
    key_header: Annotated[str, Meta(description="header that carries the key; the query parameter key by default")] = ""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that can be configured."""

    history: Annotated[
        Literal["changes", "every_poll"],
        Meta(
            description="rows that changed and a full picture every 15 minutes, or every row of every poll "
            "(the subway: about twice as many at one poll a minute, more at faster polls)"
        ),
    ] = "changes"
    commit_interval_seconds: Annotated[
        float,
        Meta(gt=0, description="a batch is committed at least this often; more often makes more and smaller files"),
    ] = 5.0
    batch_rows: Annotated[
        int, Meta(gt=0, description="rows that close a batch early; bounds memory while catching up")
    ] = 500_000
    batch_bytes: Annotated[
        int, Meta(gt=0, description="bytes of rows that close a batch early; keeps catching up under 600 MB in all")
    ] = 40 << 20
    workers: Annotated[
        int,
        Meta(
            ge=1,
            le=32,
            description="processes that make rows; one, the committing process itself, carries all of New York with a "
            "tenth of a core, more help with a backlog, at about 300 MB each",
        ),
    ] = 1
    sinks: Annotated[
        tuple[Literal["iceberg", "snowflake"], ...],
        Meta(
            min_length=1,
            description="where rows go, each at its own pace; Snowflake needs an account, or the emulator in its place",
        ),
    ] = ("iceberg",)
    spool: SpoolConfig = SpoolConfig()
    snowflake: SnowflakeConfig = SnowflakeConfig()
    catalog: CatalogConfig = CatalogConfig()
    poller: PollerConfig = PollerConfig()
    maintenance: MaintenanceConfig = MaintenanceConfig()
    observe: ObserveConfig = ObserveConfig()
    tables: Annotated[
        dict[str, TableConfig],
        Meta(
            description="by table: `keep_days`, how many whole UTC days with rows are kept (the newest; days without "
            "rows do not count, so that a clock gone wrong drops nothing); all are kept by default, since only you "
            "know what you need of the 2.7 TB that a year of New York is about. Also `snapshots`, `snapshot_hours`, "
            "`replaced_minutes` and `orphan_hours`, where a table is to differ from `maintenance`: more snapshots for "
            "one that a tool reads snapshot by snapshot, more minutes for one whose queries take long"
        ),
    ] = {}
    feeds: Annotated[
        dict[str, FeedConfig],
        Meta(
            description="by feed id: `enabled`, `url`, `interval_seconds` (seconds between two polls, from 1), "
            "`format`, `timezone`, `meaning`, `headers`, `key_env`, `key_header`, where they are to differ from the "
            "declaration (`thirdrail feeds list`); an id that is not declared is another feed, with a `url` of its own"
        ),
    ] = {}
    severities: Annotated[
        dict[str, dict[str, Action]],
        Meta(
            description='what a rule does, by feed id or "*": reject (to quarantine), flag (kept, in dq_flags) '
            "or info (counted)"
        ),
    ] = {}


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


def known_feeds(config: Config) -> dict[str, Feed]:
    """Give every feed, as configured: those declared, then those that only the configuration knows."""
    declared = {feed.id: _as_configured(feed, config.feeds.get(feed.id, FeedConfig())) for feed in FEEDS.values()}
    own = {name: _as_configured(_blank(name), each) for name, each in config.feeds.items() if name not in FEEDS}
    return declared | own


def feed_of(config: Config, feed_id: str) -> Feed:
    """Give a feed as configured.

    Raises:
        UnknownFeed: with the nearest names that exist.
    """
    return feed(feed_id, known_feeds(config).values())


def polled(config: Config, only: Sequence[str] = (), *, environment: Mapping[str, str]) -> tuple[Feed, ...]:
    """Give the feeds to poll, as configured; ``only`` names some of them.

    Raises:
        UnknownFeed: of those named.
        ConfigError: nothing is left.
    """
    known = known_feeds(config)
    if only:
        return tuple(feed(feed_id, known.values()) for feed_id in only)
    found = tuple(each for each in known.values() if not why_left_out(each, config, environment))
    if not found:
        raise ConfigError("no feed is left to poll: every one is switched off", hint="feeds.<id>.enabled")
    return found


def why_left_out(feed: Feed, config: Config, environment: Mapping[str, str]) -> str:
    """Give the reason why `run` does not poll a feed unless it is named; empty for those that it polls."""
    own = config.feeds.get(feed.id)
    if own is not None and own.enabled is not None:
        return "" if own.enabled else "switched off in the configuration"
    if feed.needs_key and not environment.get(feed.key_env):
        return f"gives nothing without a key: set {feed.key_env}"
    return f"all of it is in {feed.covered_by}" if feed.covered_by else ""


def _blank(name: str) -> Feed:
    return Feed(id=name, family="other", url="", meaning="from the configuration", timezone="UTC")


def _as_configured(feed: Feed, own: FeedConfig) -> Feed:
    given = {
        name: value
        for name in ("url", "interval_seconds", "format", "timezone", "meaning", "headers", "key_env", "key_header")
        if (value := getattr(own, name))
    }
    return msgspec.structs.replace(feed, **given)


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


def keys(struct: type[msgspec.Struct] = Config, prefix: str = "") -> list[tuple[str, str, object, str]]:
    """Give key, type, default and reason of every key, in order."""
    found: list[tuple[str, str, object, str]] = []
    schema = msgspec.json.schema(struct)["$defs"][struct.__name__]["properties"]
    for field in msgspec.structs.fields(struct):
        if isinstance(field.default, msgspec.Struct):
            found += keys(type(field.default), f"{prefix}{field.name}.")
            continue
        described = schema[field.name]
        default = {} if field.default is msgspec.NODEFAULT else field.default
        found.append((f"{prefix}{field.name}", _type_name(described), default, described.get("description", "")))
    return found


def _type_name(described: dict[str, object]) -> str:
    if "enum" in described:
        return " or ".join(f"`{value}`" for value in described["enum"])  # type: ignore[attr-defined]
    if "anyOf" in described:
        return " or ".join(str(part["type"]) for part in described["anyOf"] if part["type"] != "null")  # type: ignore[attr-defined]
    if described["type"] == "array":
        return f"list of {_type_name(described['items'])}"  # type: ignore[arg-type]
    return {"object": "table"}.get(str(described["type"]), str(described["type"]))


def reference() -> str:
    """Give the reference page in Markdown."""
    lines = [
        "# Configuration",
        "",
        "One TOML file, given with `--config`; none is needed. Unknown keys are refused. This page is made by",
        "`thirdrail config reference`.",
        "",
        "| key | type | default | why |",
        "|---|---|---|---|",
    ]
    for key, kind, default, reason in keys():
        lines.append(f"| `{key}` | {kind} | `{as_toml(default)}` | {reason} |")
    lines += ["", "## Rules", "", "| rule | judges | default action | finds |", "|---|---|---|---|"]
    for rule in RULES.values():
        action = f"{rule.action} (fixed)" if rule.fixed else rule.action
        lines.append(f"| {rule.id} | {rule.level} | {action} | {rule.meaning} |")
    return "\n".join([*lines, ""])


def as_toml(value: object) -> str:
    """Give a value as a TOML file holds it; ``unset`` for none."""
    if value is None:
        return "unset"
    if isinstance(value, dict):
        inside = ", ".join(f"{msgspec.json.encode(key).decode()} = {as_toml(each)}" for key, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    return msgspec.json.encode(value).decode()


def example() -> str:
    """Give a file with every key commented out at its default, its reason above it."""
    lines = ["# Third Rail. Every key may be left out; what stands here is the default.", ""]
    section = ""
    # A key after a section's head would belong to it, so those of the file itself come first.
    for key, _, default, reason in sorted(keys(), key=lambda each: each[0].count(".")):
        table, _, name = key.rpartition(".")
        if table != section:
            section = table
            lines += [f"[{table}]", ""]
        shown = _EXAMPLES[key] if key in _EXAMPLES else as_toml(default)
        lines += [*_comment(reason), f"# {name} = {shown}", ""]
    return "\n".join(lines)


_EXAMPLES = {
    "feeds": "{ subway_si = { enabled = false }, subway_l = { interval_seconds = 30 } }",
    "tables": "{ stop_time_updates = { keep_days = 90 } }",
    "severities": '{ "*" = { M012 = "reject" } }',
    "spool.reserve_gb": "2.5",
}
"""For keys whose default is that nothing stands there."""


def _comment(text: str) -> list[str]:
    return wrap(text, 100, initial_indent="# ", subsequent_indent="# ")
