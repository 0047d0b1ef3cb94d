"""`./thirdrail` starts the command from anywhere and hands over exactly what it was given."""

import json
import stat

import pytest

ODD = ["run", "two  words", "", "*", "$HOME", '"quoted"', "it's", "back\\slash", "--", "-x", "new\nline", "ü"]


@pytest.fixture
def elsewhere(tmp_path):
    folder = tmp_path / "else where"
    folder.mkdir()
    return folder


def called(tree, command, cwd):
    code, output = tree.run(command, *ODD, cwd=cwd)
    assert code == 0, output
    return json.loads(output)


def test_arguments_and_folder_reach_the_command_unchanged(ready, elsewhere):
    assert called(ready, str(ready.root / "thirdrail"), elsewhere) == [str(elsewhere), ODD]


def test_it_works_through_a_chain_of_symbolic_links(ready, elsewhere):
    (elsewhere / "absolute").symlink_to(ready.root / "thirdrail")
    (elsewhere / "relative").symlink_to("../else where/absolute")
    assert called(ready, "./relative", elsewhere) == [str(elsewhere), ODD]


def test_the_exit_code_is_that_of_the_command(ready):
    assert ready.run("./thirdrail", "exit 7")[0] == 7


def test_without_an_environment_it_says_what_to_run(tree):
    code, output = tree.run("./thirdrail", "run")
    assert code == 1
    assert output == f"thirdrail: not set up yet: run `make setup` in {tree.root}\n"


def test_it_is_executable_in_the_real_tree(pytestconfig):
    mode = (pytestconfig.rootpath / "thirdrail").stat().st_mode
    assert mode & stat.S_IXUSR
