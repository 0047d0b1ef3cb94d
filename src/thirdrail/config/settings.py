"""Every key with its default and the reason for it. Secrets never stand here."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from thirdrail.model.feeds import FORMATS

DEFAULT_LISTEN = "127.0.0.1:8001"
Action = Literal["reject", "flag", "info"]


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
