"""The reference page of tables and views, and dbt's, made from their declarations."""

import json

from thirdrail.decode.wire_schema import LEFT_OUT
from thirdrail.model.tables import ALL_TABLES, FEED_MESSAGES, NAMESPACE
from thirdrail.query.views import VIEWS


def tables_reference() -> str:
    """Give the Markdown of every table's columns and every view's meaning."""
    lines = ["## Views", "", "| view | what it shows |", "|---|---|"]
    lines += [f"| `{view.name}` | {view.meaning} |" for view in VIEWS]
    lines.append("| `as_of('TABLE', T)` | the picture of a table at a time, feed by feed |")
    for table in ALL_TABLES:
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


def dbt_sources(plugin: str = "") -> str:
    """Give dbt's ``sources.yml``: every table and column with its meaning, and how fresh they must be.

    ``plugin``: the alias of dbt-duckdb's ``iceberg`` plugin that loads the tables; none for adapters that attach them.
    """
    lines = [
        "# Made by `thirdrail dbt sources`.",
        "version: 2",
        "sources:",
        f"  - name: {NAMESPACE}",
        f"    schema: {NAMESPACE}",
        f"    description: {_yaml('Public transit feeds, each row exactly once, by Third Rail.')}",
        "    loader: thirdrail",
    ]
    if plugin:
        lines += ["    config:", "      meta:", f"        plugin: {_yaml(plugin)}"]
    lines.append("    tables:")
    for table in ALL_TABLES:
        lines += [f"      - name: {table.name}", f"        description: {_yaml(table.meaning)}"]
        if table is FEED_MESSAGES:
            # A row for every poll, whatever it brought: what is silent here has stopped.
            lines += ["        config:", "          loaded_at_field: fetched_at", "          freshness:"]
            lines += ["            warn_after: {count: 2, period: minute}"]
            lines += ["            error_after: {count: 15, period: minute}"]
        lines.append("        columns:")
        for column in table.columns:
            lines += [f"          - name: {column.name}", f"            description: {_yaml(column.meaning)}"]
            if column.required:
                lines.append("            data_tests: [not_null]")
    return "\n".join([*lines, ""])


def _yaml(text: str) -> str:
    """Give a text as a YAML scalar: JSON is YAML."""
    return json.dumps(text, ensure_ascii=False)
