"""`mesh-adapter mixer`: Mixer from the command line."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import click

from galley.load import load_files
from mesh_adapter.checks import CHECKS
from mesh_adapter.commands import options
from mesh_adapter.commands.mixer_attributes import read_file, read_vocabulary
from mesh_adapter.commands.mixer_calls import check, quota, report
from mesh_adapter.table import table
from mixer.attributes import Reference, TrackedBag
from mixer.expression import EvaluationError, ExpressionError, Language, Position, compile_expression
from mixer.expression.locate import locate
from mixer.placement import placements
from mixer.plain import shown_value
from mixer.rules import compile_rules


@click.group()
def mixer() -> None:
    """Ask and tell Mixer, and try out what it would decide."""


mixer.add_command(check)
mixer.add_command(quota)
mixer.add_command(report)


@mixer.command("eval", context_settings={"ignore_unknown_options": True})
@click.argument("expression")
@click.option("--attributes", type=click.Path(), help="JSON or YAML file: attributes by name.")
@click.option(
    "--manifest",
    "manifests",
    type=click.Path(),
    multiple=True,
    help="JSON or YAML file: types by attribute, or attributemanifest documents. May be repeated.",
)
@click.option("--lang", type=click.Choice([each.value for each in Language]), help="Instead of what the text says.")
def evaluate(expression: str, attributes: str | None, manifests: tuple[str, ...], lang: str | None) -> None:
    """Evaluate EXPRESSION over the attributes of a file; print type, value and the attributes it referenced as JSON.

    Exit status 1, and the error with its place, if it has a mistake or no value.
    """
    vocabulary = read_vocabulary(manifests)
    bag = TrackedBag(read_file(attributes, vocabulary) if attributes else {})
    try:
        program = compile_expression(expression, vocabulary, language=Language(lang) if lang else None)
        value = program.evaluate(bag)
    except ExpressionError as error:
        _fail(error.message, error.position, error.mend)
    except EvaluationError as error:
        _fail(str(error), locate(expression, error), "", bag)
    click.echo(json.dumps({"type": program.type.value, "value": shown_value(value), **_referenced(bag)}))


@mixer.command("rules")
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@options.output("table", "json")
@click.pass_context
def list_rules(ctx: click.Context, paths: tuple[str, ...], output: str) -> None:
    """Say of each rule in files and directories where it runs, in Envoy or by a call to Mixer, and why.

    Of ports that carry HTTP; a rule of Envoy's is asked about all the same where another that concerns the port can
    only be Mixer's. Exit status 1 if a document or a rule is refused.
    """
    config, problems = load_files(paths, CHECKS)
    rules = compile_rules(config)
    found = [(str(each.rule), each.where, each.why) for each in placements(rules)]
    if output == "json":
        click.echo(json.dumps([dict(zip(("rule", "where", "why"), row, strict=True)) for row in found], indent=2))
    else:
        click.echo(table(("RULE", "RUNS IN", "WHY"), found))
    for problem in (*problems, *rules.problems):
        click.echo(str(problem), err=True)
    ctx.exit(1 if any(not each.warning for each in (*problems, *rules.problems)) else 0)


def _referenced(bag: TrackedBag) -> dict[str, Any]:
    """The names, and in what way the value rests on each."""
    references = sorted(bag.references.items(), key=lambda item: (item[0].name, item[0].key or ""))
    return {
        "referenced": sorted({reference.name for reference, _ in references}),
        "references": [_plain(reference, condition.name) for reference, condition in references],
    }


def _plain(reference: Reference, condition: str) -> dict[str, str]:
    key = {} if reference.key is None else {"mapKey": reference.key}
    return {"name": reference.name, **key, "condition": condition}


def _fail(message: str, position: Position, mend: str, bag: TrackedBag | None = None) -> NoReturn:
    place = {"offset": position.offset, "line": position.line, "column": position.column}
    advice = {"mend": mend} if mend else {}
    click.echo(json.dumps({"error": message, "position": place, **advice, **(_referenced(bag) if bag else {})}))
    raise SystemExit(1)
