"""``dbt sources``: the tables as dbt's sources."""

import click

from thirdrail.query.reference import dbt_sources


@click.group()
def dbt() -> None:
    """Use the tables from dbt."""


@dbt.command()
@click.option("--plugin", default="", metavar="ALIAS", help="The alias of dbt-duckdb's iceberg plugin in profiles.yml.")
def sources(plugin: str) -> int:
    """Print a sources.yml: tables, columns, their meanings, freshness.

    thirdrail dbt sources > models/sources.yml
    """
    click.echo(dbt_sources(plugin), nl=False)
    return 0
