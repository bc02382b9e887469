"""Which attributes a verdict rests on, to and from istio.mixer.v1.ReferencedAttributes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mixer.attributes import Condition, Reference
from mixer.wire import messages
from mixer.wire.compressed import Encoder, WireError, Words

_CONDITIONS = frozenset(condition.value for condition in Condition)


def encode(references: Mapping[Reference, Condition], shared: int) -> Any:
    """The message; `shared` is how many global words the caller knows."""
    encoder = Encoder(shared)
    message = messages.ReferencedAttributes()
    for reference, condition in sorted(references.items()):
        match = message.attribute_matches.add(name=encoder.index(reference.name), condition=condition.value)
        if reference.key is not None:
            match.map_key = encoder.index(reference.key)
    message.words.extend(encoder.own)
    return message


def decode(message: Any) -> dict[Reference, Condition]:
    """The references. Raises WireError for an index or a condition that there is not.

    A map key of index 0 and no map key look alike on the wire (proto3): the word is `source.ip`, which is no header.
    """
    words = Words(message.words)
    references = {}
    for match in message.attribute_matches:
        reference = Reference(words.at(match.name), words.at(match.map_key) if match.map_key else None)
        if match.condition not in _CONDITIONS:
            raise WireError(f"{reference.name}: condition {match.condition} is not one of the protocol's")
        references[reference] = Condition(match.condition)
    return references
