"""``config``: what can be set, and what is set."""

from pathlib import Path

import click

from thirdrail.cli.options import config_option, json_option
from thirdrail.cli.output import print_json, show
from thirdrail.config import reference as described
from thirdrail.config.reading import load
from thirdrail.config.reference import as_toml, keys
from thirdrail.errors import UsageError
from thirdrail.observe import logs
from thirdrail.observe import metrics as declared_metrics


@click.group()
def config() -> None:
    """Check, show and explain the configuration."""


@config.command()
def metrics() -> int:
    """Print the page of all metrics (Markdown)."""
    click.echo(declared_metrics.reference(), nl=False)
    return 0


@config.command()
def events() -> int:
    """Print the page of all events that `run` and `demo` log (Markdown)."""
    click.echo(logs.reference(), nl=False)
    return 0


@config.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> int:
    """Check a file; says which key is wrong, and why."""
    load(file)
    click.echo(f"{file}: fine")
    return 0


@config.command("show")
@config_option
@json_option
def show_(config_path: Path | None, *, as_json: bool) -> int:
    """Show the configuration in force."""
    effective = load(config_path)
    if as_json:
        print_json(effective)
        return 0
    rows = []
    for key, _, default, _ in keys():
        value: object = effective
        for part in key.split("."):
            value = getattr(value, part)
        rows.append((key, as_toml(value), "default" if value == default else "set"))
    show(("key", "value", "from"), rows, prose=["value"])
    return 0


@config.command()
def reference() -> int:
    """Print the reference page (Markdown)."""
    click.echo(described.reference(), nl=False)
    return 0


@config.command()
@click.argument("file", type=click.Path(path_type=Path), default="thirdrail.toml")
def init(file: Path) -> int:
    """Write a file with every key, commented out at its default."""
    if file.exists():
        raise UsageError(f"{file} exists already; it was left as it is")
    file.write_text(described.example())
    click.echo(f"{file} written; every key in it is optional")
    return 0
