"""Attributes as the commands of `mesh-adapter mixer` are told them: in files, and one by one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from galley.document import Document, Loaded
from galley.finding import Finding
from galley.ingest.yaml_documents import read_documents
from mixer.attributes import Value, ValueType, Vocabulary
from mixer.plain import read_bag, read_manifest
from mixer.vocabulary import ISTIO


def read_vocabulary(manifests: tuple[str, ...]) -> Vocabulary:
    """Istio's, with what the files declare. ClickException for what can't be used."""
    vocabulary = ISTIO
    for each in manifests:
        vocabulary = _extended(vocabulary, each)
    return vocabulary


def read_attributes(file: str | None, manifests: tuple[str, ...] = (), pairs: tuple[str, ...] = ()) -> dict[str, Value]:
    """The bag of a file and of NAME=VALUE pairs, which win. UsageError or ClickException for what is none.

    A value of a pair is text as YAML has it in files; of a STRING_MAP attribute it is JSON.
    """
    vocabulary = read_vocabulary(manifests)
    bag = read_file(file, vocabulary) if file else {}
    found: dict[str, object] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--attribute {pair!r} is not NAME=VALUE")
        found[name] = _plain(text, vocabulary.types.get(name))
    more, findings = read_bag(found, vocabulary)
    refuse("--attribute", findings)
    return {**bag, **more}


def read_file(file: str, vocabulary: Vocabulary) -> dict[str, Value]:
    """The bag of a file."""
    data: dict[str, object] = {}
    for document in _documents(file):
        data.update(document.body)
    bag, findings = read_bag(data, vocabulary)
    refuse(file, findings)
    return bag


def refuse(where: str, findings: list[Finding]) -> None:
    """ClickException if there are any."""
    if findings:
        lines = [f"{where}: {each.text}" + (f" ({each.mend})" if each.mend else "") for each in findings]
        raise click.ClickException("\n".join(lines))


def _plain(text: str, type_: ValueType | None) -> object:
    """What JSON would have for it; the text itself where that is wanted, or JSON has nothing."""
    if type_ in (ValueType.INT64, ValueType.DOUBLE, ValueType.BOOL, ValueType.STRING_MAP):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _extended(vocabulary: Vocabulary, file: str) -> Vocabulary:
    for document in _documents(file):
        body: Any = document.body
        if body.get("kind") == "attributemanifest":
            spec = body.get("spec")
            body = spec.get("attributes") if isinstance(spec, dict) else None
        types, findings = read_manifest(body)
        refuse(file, findings)
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
