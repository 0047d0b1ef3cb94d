"""The configuration: defaults that need no file, errors that name the key."""

from pathlib import Path

import pytest

from thirdrail.config.reading import load
from thirdrail.config.reference import example, keys
from thirdrail.config.settings import Config
from thirdrail.errors import ConfigError


def written(folder: Path, text: str) -> Path:
    path = folder / "thirdrail.toml"
    path.write_text(text)
    return path


def test_no_file_is_needed() -> None:
    assert load(None) == Config()


def test_what_init_writes_is_the_defaults(tmp_path: Path) -> None:
    assert load(written(tmp_path, example())) == Config()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("histori = 'changes'", "histori: unknown key"),
        ("[spool]\nretention_dayz = 3", "spool.retention_dayz: unknown key"),
        ("history = 'sometimes'", "history: "),
        ("[spool]\nretention_days = -1", "spool.retention_days: "),
        ("batch_rows = 'many'", "batch_rows: "),
        ("[severities.\"*\"]\nM999 = 'flag'", "severities.*.M999: no rule"),
        ("[severities.subway_g]\nM011 = 'flag'", "severities.subway_g.M011: what this rule does cannot be changed"),
        ("[severities.subway_g]\nM012 = 'shout'", "shout"),
        ("= 3", "is no TOML"),
    ],
)
def test_a_wrong_key_or_value_is_named_by_its_path(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(written(tmp_path, text))
    assert told in str(error.value)


def test_every_key_has_a_reason() -> None:
    assert all(reason for _, _, _, reason in keys())
