"""``config``: what can be set; and that the reference page is what the code says."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import FEED, Command
from thirdrail.config.reading import load
from thirdrail.config.settings import Config

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_the_reference_page_is_the_one_the_command_prints(thirdrail: Command) -> None:
    assert thirdrail("config", "reference").out == PAGE.read_text(), (
        "run: thirdrail config reference > docs/configuration.md"
    )


def test_every_key_of_the_page_has_a_default_and_a_reason() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| (.+?) \| (.+?) \| (.+) \|$", PAGE.read_text(), re.MULTILINE)

    assert {key for key, _, _, _ in rows} >= {"history", "batch_rows", "spool.retention_days", "severities"}
    assert all(default and reason for _, _, default, reason in rows)


def test_the_file_that_init_writes_changes_nothing(thirdrail: Command) -> None:
    assert thirdrail("config", "init").code == 0

    assert thirdrail("config", "check", "thirdrail.toml").out == "thirdrail.toml: fine\n"
    assert load(Path("thirdrail.toml")) == Config()


def test_every_line_of_it_may_be_switched_on(thirdrail: Command) -> None:
    thirdrail("config", "init")
    path = Path("thirdrail.toml")

    path.write_text(re.sub(r"^# (?=\w+ = )", "", path.read_text(), flags=re.MULTILINE))

    assert tomllib.loads(path.read_text()).keys() == {field.name for field in msgspec.structs.fields(Config)}
    switched_on = load(path)
    assert (switched_on.severities, switched_on.spool.reserve_gb) == ({"*": {"M012": "reject"}}, 2.5)
    spool = msgspec.structs.replace(switched_on.spool, reserve_gb=None)
    assert msgspec.structs.replace(switched_on, severities={}, feeds={}, tables={}, spool=spool) == Config()


def test_init_leaves_a_file_that_exists_alone(thirdrail: Command) -> None:
    Path("thirdrail.toml").write_text("mine")

    assert thirdrail("config", "init").code == 2
    assert Path("thirdrail.toml").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("histroy = 'changes'", "histroy: unknown key; did you mean history?"),
        ("[spool]\nretention_dayz = 1", "spool.retention_dayz: unknown key; did you mean spool.retention_days?"),
        ("[spool]\nretention_days = 'long'", "spool.retention_days: expected `float`, got `str`"),
        ("[spool]\nretention_days = 0", "spool.retention_days: expected `float` > 0"),
        ("spool = 3", "spool: expected `object`, got `int`"),
        ("severities = 3", "severities: expected `object`, got `int`"),
        ("history = 'all'", "history: invalid enum value 'all'"),
        ("batch_rows = 1.5", "batch_rows: expected `int`, got `float`"),
        ("[severities.'*']\nM012 = 'ignore'", "severities.*.M012: 'ignore' is none of reject, flag, info"),
        ("[severities.'*']\nM999 = 'flag'", "severities.*.M999: no rule has this id"),
        ("[severities.'*']\nM009 = 'flag'", "severities.*.M009: what this rule does cannot be changed"),
        ("[severities.subway_x]\nM012 = 'flag'", "severities.subway_x: no feed has this id"),
        ("history = ", "is no TOML"),
    ],
)
def test_a_wrong_key_or_value_is_told_in_one_line(thirdrail: Command, text: str, words: str) -> None:
    Path("odd.toml").write_text(text)

    for command in (("config", "check", "odd.toml"), ("config", "show", "--config", "odd.toml")):
        said = thirdrail(*command)
        assert said.code == 2
        assert said.err.startswith("error: odd.toml")
        assert words in said.err
        assert said.out == ""


def test_a_file_that_is_not_there_is_named(thirdrail: Command) -> None:
    said = thirdrail("config", "check", "nowhere.toml")

    assert (said.code, "nowhere.toml cannot be read" in said.err) == (2, True)


def test_what_is_in_force_is_shown_with_where_it_comes_from(thirdrail: Command) -> None:
    Path("ours.toml").write_text("commit_interval_seconds = 30\n")

    lines = thirdrail("config", "show", "--config", "ours.toml", columns=100).out.splitlines()

    shown = {line.split()[0]: line.split()[1:] for line in lines}
    assert shown["commit_interval_seconds"] == ["30.0", "set"]
    assert shown["history"] == ['"changes"', "default"]
    assert thirdrail("config", "show", "--json").json["batch_rows"] == 500_000


def test_the_history_of_the_configuration_is_the_one_that_is_kept(thirdrail: Command, recorded: Path) -> None:
    Path("all.toml").write_text('history = "every_poll"\n')

    written = thirdrail("replay", recorded, "--feed", FEED, "--config", "all.toml", "--json").json["written"]

    assert written["stop_time_updates"] == 3 * 6 * 20
