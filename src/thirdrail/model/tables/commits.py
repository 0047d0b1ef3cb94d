"""The tables' own history: commits outlive the snapshots that they made, which are fifty at most."""

from thirdrail.model.tables.declaration import Column, Table, identity

COMMITS = Table(
    "commits",
    "one row per snapshot that a table had, of appends and of maintenance; how old rows were when they could be read",
    (
        identity("table_name", "string", "the table that was committed to"),
        identity("table_uuid", "string", "its Iceberg uuid: a table that is made anew has another"),
        identity("snapshot_id", "long", "Iceberg's id"),
        identity("sequence_number", "long", "Iceberg's number, rising by one a commit"),
        identity("committed_at", "timestamptz", "when it was committed, by our clock"),
        Column("operation", "string", "append, replace, overwrite or delete", required=True),
        identity("capture_log", "string", "the log whose rows came; null for maintenance", required=False),
        identity("log_partition", "string", "the partition of it", required=False),
        identity("start_offset", "long", "rows of captures from here on; null where unknown", required=False),
        identity("end_offset", "long", "to below here: the table's position from then on", required=False),
        Column("added_rows", "long", "rows in new files", required=True),
        Column("removed_rows", "long", "rows in files that were taken out", required=True),
        Column("added_files", "long", "new data files", required=True),
        Column("total_rows", "long", "rows of the table", required=True),
        Column("total_files", "long", "data files of the table", required=True),
    ),
    key=(),
    sort=("table_name", "sequence_number"),
    is_picture=False,
    day="committed_at",
    order="sequence_number",
)
