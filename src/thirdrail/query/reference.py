"""The reference page of tables and views, made from their declarations."""

from thirdrail.decode.wire_schema import LEFT_OUT
from thirdrail.model.tables import TABLES
from thirdrail.query.views import VIEWS


def tables_reference() -> str:
    """Give the Markdown of every table's columns and every view's meaning."""
    lines = ["## Views", "", "| view | what it shows |", "|---|---|"]
    lines += [f"| `{view.name}` | {view.meaning} |" for view in VIEWS]
    lines.append("| `as_of('TABLE', T)` | the picture of a table at a time, feed by feed |")
    for table in TABLES:
        key = ", ".join(f"`{name}`" for name in table.key)
        lines += ["", f"## {table.name}", "", f"{table.meaning.capitalize()}.{f' Key: {key}.' if key else ''}", ""]
        lines += ["| column | type | role | meaning | on the wire |", "|---|---|---|---|---|"]
        for column in table.columns:
            kind = column.type if column.required else f"{column.type}, null"
            wire = f"`{column.wire}`" if column.wire else ""
            meaning = column.meaning.replace("|", "\\|")
            lines.append(f"| `{column.name}` | {kind} | {column.role.value} | {meaning} | {wire} |")
    lines += ["", "## Left out", "", "Fields of GTFS-Realtime and its extensions that no table holds:", ""]
    lines += ["| field | why |", "|---|---|", *(f"| `{name}` | {reason} |" for name, reason in LEFT_OUT.items())]
    return "\n".join([*lines, ""])
