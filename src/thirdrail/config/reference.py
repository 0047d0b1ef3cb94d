"""The settings for people: every key with type, default and reason, as a page and as a file to begin with."""

from textwrap import wrap

import msgspec

from thirdrail.config.settings import Config
from thirdrail.model.rules import BY_ID as RULES


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
