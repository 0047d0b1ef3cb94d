"""The pages on Snowflake name commands, files and sums that are so."""

import re
from pathlib import Path

import click
import pytest

from thirdrail.cli.main import commands
from thirdrail.config.settings import SnowflakeConfig
from thirdrail.sinks.snowflake.ddl import statements
from thirdrail.sinks.snowflake.monitoring_sql import view_names
from thirdrail.sinks.snowflake.statements import names_of

ROOT = Path(__file__).parents[2]
PAGES = [(ROOT / "docs" / name).read_text() for name in ("snowflake.md", "from-the-sketch.md")]
PAGE = PAGES[0]
_NUMBER = r"([\d.,]+)"
_COST = re.compile(
    rf"^\| [\w ()]+ \| {_NUMBER} \| {_NUMBER} \| {_NUMBER} M \| {_NUMBER} \| {_NUMBER} \|$", re.MULTILINE
)


def _command(words: list[str]) -> tuple[click.Command, str]:
    """The command that some words begin with, and its name."""
    found: click.Command = commands
    name = "thirdrail"
    for word in words:
        if not isinstance(found, click.Group) or word not in found.commands:
            break
        found, name = found.commands[word], f"{name} {word}"
    return found, name


@pytest.mark.parametrize("page", PAGES, ids=["snowflake", "from-the-sketch"])
def test_every_command_and_option_of_a_page_exists(page: str) -> None:
    called = re.findall(r"thirdrail (snowflake [^`\n|>#]*)", page)
    assert called
    for line in called:
        found, name = _command(line.split())
        assert name != "thirdrail snowflake", line
        options = {option for parameter in found.params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", line)) <= options, line


@pytest.mark.parametrize("page", PAGES, ids=["snowflake", "from-the-sketch"])
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    for name in re.findall(r"`((?:tests|sinks|benchmarks)/[\w/]+\.py)`", page):
        assert (ROOT / name).exists() or (ROOT / "src" / "thirdrail" / name).exists(), name


def test_every_kind_of_statement_and_every_view_is_explained() -> None:
    for statement in statements(names_of(SnowflakeConfig(), {})):
        kind = re.match(r"(CREATE OR REPLACE VIEW|CREATE \w+(?: TABLE)?|ALTER \w+|GRANT (?:ROLE)?)", statement)
        assert kind is not None, statement
        words = kind[0].replace("CREATE SCHEMA", "SCHEMA").strip()
        assert words in PAGE, words
    assert all(f"`{name}`" in PAGE for name in view_names())


def test_the_sums_of_what_it_costs_are_right() -> None:
    rows = [[float(each.replace(",", "")) for each in found] for found in _COST.findall(PAGE)]
    assert len(rows) == 7
    for values, line, millions, values_gb, lines_gb in rows:
        assert abs(values * millions / 1e3 - values_gb) < 0.06
        assert abs(line * millions / 1e3 - lines_gb) < 0.06
    total = re.search(rf"\| \*\*all\*\* \| \| \| 368 M \| \*\*{_NUMBER}\*\* \| {_NUMBER} \|", PAGE)
    assert total is not None
    assert abs(sum(row[3] for row in rows) - float(total[1])) < 0.2
    assert abs(sum(row[4] for row in rows) - float(total[2])) < 0.2
