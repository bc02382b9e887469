"""Short ways to write down documents, for the tests of galley."""

from __future__ import annotations

import textwrap

from galley.document import Document, Loaded
from galley.ingest.yaml_documents import read_documents

VIRTUAL_SERVICE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
"""
DESTINATION_RULE = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
"""
ROUTED = "hosts: [reviews]\nhttp: [{route: [{destination: {host: reviews}}]}]\n"
"""The smallest spec of a VirtualService that passes."""


def virtual_service(spec: str = ROUTED, name: str = "reviews") -> str:
    """The text of a VirtualService, whose spec begins in line 5."""
    return VIRTUAL_SERVICE.replace("reviews", name) + textwrap.indent(textwrap.dedent(spec), "  ")


def destination_rule(spec: str = "host: reviews\n", name: str = "reviews") -> str:
    """The text of a DestinationRule, whose spec begins in line 5."""
    return DESTINATION_RULE.replace("reviews", name) + textwrap.indent(textwrap.dedent(spec), "  ")


def loaded(text: str, unit: str = "rules.yaml") -> Loaded:
    """The documents of a text that can be read."""
    event = read_documents(unit, text.encode())
    assert isinstance(event, Loaded), event
    return event


def document(text: str, unit: str = "rules.yaml") -> Document:
    """The one document of a text."""
    (only,) = loaded(text, unit).documents
    return only
