"""The scratch table of ``snowflake doctor``: in Snowflake (and its stand-in) alone, and none of :data:`TABLES`."""

from thirdrail.model.tables.declaration import Column, Table, identity

DOCTOR = Table(
    "thirdrail_doctor",
    "what `thirdrail snowflake doctor` wrote to see whether a row arrives; it may be emptied at any time",
    (
        identity("run_id", "string", "one examination"),
        identity("row_number", "int", "from 0"),
        identity("sent_at", "timestamptz", "when it was sent, by the sender's clock"),
        Column("note", "string", "who sent it"),
        Column("words", "list<string>", "a list, as the tables have them"),
    ),
    key=(),
    sort=(),
    is_picture=False,
)
