"""The command as a whole: help, environment variables, exit statuses, and the page that describes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mesh_adapter import __version__
from mesh_adapter.cli import COMMANDS, cli
from tests.unit.mesh_adapter.answering import answering

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "command.md"


def leaves(command: click.Command = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with the words that call it."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from leaves(inner, (*path, name))


LEAVES = dict(leaves())


@pytest.mark.parametrize("path", [*LEAVES, (), ("proxy-config",)], ids=" ".join)
def test_every_command_helps(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*path, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")


def test_the_first_help_lists_every_command() -> None:
    output = CliRunner().invoke(cli, ["--help"]).output
    assert [name for name in COMMANDS if not re.search(rf"^  {name} +\S", output, re.MULTILINE)] == []


@pytest.mark.parametrize(("arguments", "output"), [(["version"], ""), (["--version"], ", version")])
def test_version(arguments: list[str], output: str) -> None:
    assert CliRunner().invoke(cli, arguments).output == f"mesh-adapter{output} {__version__}\n"


def test_version_for_programs() -> None:
    assert json.loads(CliRunner().invoke(cli, ["version", "-o", "json"]).output) == {"version": __version__}


@pytest.mark.parametrize(
    "arguments", [["none"], ["version", "--none"], ["version", "-o", "xml"], ["proxy-config", "x"]]
)
def test_misuse_is_exit_status_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert "Error: " in result.output


@pytest.mark.parametrize("arguments", [["proxy-status"], ["proxy-config", "clusters", "web"]])
def test_an_environment_variable_is_the_same_for_all_commands(arguments: list[str]) -> None:
    with answering({"/debug/syncz": (200, []), "/debug/config_dump?proxyID=web": (200, {"configs": []})}) as address:
        result = CliRunner(env={"MESH_ADAPTER_HTTP_ADDR": address}).invoke(cli, arguments)
    assert result.exit_code == 0, result.output


def test_the_command_line_wins_over_the_environment() -> None:
    with answering({"/debug/syncz": (200, [])}) as address:
        runner = CliRunner(env={"MESH_ADAPTER_HTTP_ADDR": "127.0.0.1:1"})
        assert runner.invoke(cli, ["proxy-status", "--http-addr", address]).exit_code == 0


def test_a_variable_with_several_values() -> None:
    """Of an option that may be repeated: parted by blanks."""
    runner = CliRunner(env={"MESH_ADAPTER_PLATFORM": "consul consul"})
    result = runner.invoke(cli, ["start"])
    assert (result.exit_code, "--platform consul is given twice" in result.output) == (2, True)


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({"CONSUL_HTTP_ADDR": "ftp://theirs"}, "theirs"),
        ({"MESH_ADAPTER_CONSUL_ADDR": "ftp://ours", "CONSUL_HTTP_ADDR": "ftp://theirs"}, "ours"),
    ],
)
def test_variables_of_consul_are_understood_and_ours_win(variables: dict[str, str], address: str) -> None:
    result = CliRunner(env=variables).invoke(cli, ["start", "--platform", "consul"])
    assert (result.exit_code, address in result.output) == (2, True), result.output


def options(command: click.Command) -> list[click.Option]:
    return [each for each in command.params if isinstance(each, click.Option)]


def test_every_option_has_its_variable() -> None:
    for command in LEAVES.values():
        for option in options(command):
            names = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
            longest = max(option.opts, key=len)
            assert f"MESH_ADAPTER_{longest[2:].upper().replace('-', '_')}" in names


def section(path: tuple[str, ...]) -> str:
    """The part of the page under the command's heading; commands of a group share the group's."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"^## {path[0]}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{PAGE} has no heading `## {path[0]}`"
    return found[1]


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_the_page_has_every_option_with_its_default(path: tuple[str, ...]) -> None:
    text = section(path)
    assert path[-1] in text
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    for option in options(LEAVES[path]):
        longest = max(option.opts, key=len)
        (line,) = [each for each in lines if re.match(rf"\| `(-\w, )?{longest}[ `]", each)]
        if option.show_default and not option.multiple:
            default = option.show_default if isinstance(option.show_default, str) else option.default
            assert f"`{default}`" in line, f"{path}: {longest}"
        if isinstance(option.type, click.Choice):
            assert [choice for choice in option.type.choices if f"`{choice}`" not in line] == [], longest


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_has_no_option_that_is_gone(name: str) -> None:
    known = {
        opt for path, command in LEAVES.items() if path[0] == name for each in options(command) for opt in each.opts
    }
    described = set(re.findall(r"^\| `(?:-\w, )?(--[a-z-]+)", section((name,)), re.MULTILINE))
    assert described - known == set()
