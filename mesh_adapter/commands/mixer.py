"""`mesh-adapter mixer`: Mixer from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import click

from galley.document import Document, Loaded
from galley.finding import Finding
from galley.ingest.yaml_documents import read_documents
from mixer.attributes import Reference, TrackedBag, Value, Vocabulary
from mixer.expression import EvaluationError, ExpressionError, Language, Position, compile_expression
from mixer.expression.locate import locate
from mixer.plain import read_bag, read_manifest, shown_value
from mixer.vocabulary import ISTIO


@click.group()
def mixer() -> None:
    """Try out what Mixer would decide."""


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
    vocabulary = ISTIO
    for each in manifests:
        vocabulary = _extended(vocabulary, each)
    bag = TrackedBag(_attributes(attributes, vocabulary) if attributes else {})
    try:
        program = compile_expression(expression, vocabulary, language=Language(lang) if lang else None)
        value = program.evaluate(bag)
    except ExpressionError as error:
        _fail(error.message, error.position, error.mend)
    except EvaluationError as error:
        _fail(str(error), locate(expression, error), "", bag)
    click.echo(json.dumps({"type": program.type.value, "value": shown_value(value), **_referenced(bag)}))


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


def _attributes(file: str, vocabulary: Vocabulary) -> dict[str, Value]:
    data: dict[str, object] = {}
    for document in _documents(file):
        data.update(document.body)
    bag, findings = read_bag(data, vocabulary)
    _refuse(file, findings)
    return bag


def _extended(vocabulary: Vocabulary, file: str) -> Vocabulary:
    for document in _documents(file):
        body: Any = document.body
        if body.get("kind") == "attributemanifest":
            spec = body.get("spec")
            body = spec.get("attributes") if isinstance(spec, dict) else None
        types, findings = read_manifest(body)
        _refuse(file, findings)
        vocabulary = vocabulary.extended(types)
    return vocabulary


def _documents(file: str) -> tuple[Document, ...]:
    try:
        read = read_documents(file, Path(file).read_bytes())
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from None
    if not isinstance(read, Loaded):
        raise click.ClickException(f"{read.where}: {read.message}")
    return read.documents


def _refuse(file: str, findings: list[Finding]) -> None:
    if findings:
        lines = [f"{file}: {each.text}" + (f" ({each.mend})" if each.mend else "") for each in findings]
        raise click.ClickException("\n".join(lines))
