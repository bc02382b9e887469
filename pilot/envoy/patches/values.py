"""The value of a patch as an Envoy message, read strictly: an unknown field or type is an error with its path.

`check_values` is brought to the validation of EnvoyFilters by the composition root, so that an object whose values
can't be read never comes into force; `message` is for those that are. What is only known to Envoy itself may be carried
as xds.type.v3.TypedStruct, which Envoy unpacks.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator, Mapping
from typing import Any

from envoy_data_plane.envoy.config.cluster import v3 as cluster_library
from envoy_data_plane.envoy.config.listener import v3 as listener_library
from envoy_data_plane.envoy.config.route import v3 as route_library
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as manager_library
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from galley.checks.envoy_filter import MERGES
from galley.document import Path
from galley.envoy_patches import Placed, patches_of
from galley.finding import Finding
from galley.kinds.envoy_filter import ApplyTo, EnvoyFilter, Operation
from galley.schema import Struct
from pilot.envoy import codec
from pilot.envoy.patches.check import BrokenError, check_part

_CLASSES: Mapping[ApplyTo, Any] = {
    ApplyTo.LISTENER: codec.message(listener_library.Listener),
    ApplyTo.LISTENER_FILTER: codec.message(listener_library.ListenerFilter),
    ApplyTo.FILTER_CHAIN: codec.message(listener_library.FilterChain),
    ApplyTo.NETWORK_FILTER: codec.message(listener_library.Filter),
    ApplyTo.HTTP_FILTER: codec.message(manager_library.HttpFilter),
    ApplyTo.ROUTE_CONFIGURATION: codec.message(route_library.RouteConfiguration),
    ApplyTo.VIRTUAL_HOST: codec.message(route_library.VirtualHost),
    ApplyTo.HTTP_ROUTE: codec.message(route_library.Route),
    ApplyTo.CLUSTER: codec.message(cluster_library.Cluster),
}
_ANY = "google.protobuf.Any"
_WELL_KNOWN = "google.protobuf."
_MEND_TYPE = "correct it, or carry the configuration as xds.type.v3.TypedStruct with its type_url and value"


@functools.lru_cache(maxsize=1024)
def message(apply_to: ApplyTo, value: Struct) -> Any:
    """The message of a value that `check_values` found nothing against; shared, so not to be changed."""
    data = value.plain()
    for _ in _findings(_CLASSES[apply_to].DESCRIPTOR, data, ()):  # as a side effect, knows the types inside
        raise ValueError(f"the value of a {apply_to.value} can't be read")
    return codec.from_json(_CLASSES[apply_to], data)


def check_values(spec: EnvoyFilter) -> Iterator[Finding]:
    """What is wrong with the values of all patches."""
    for placed in patches_of(spec):
        yield from _check(placed)


def _check(placed: Placed) -> Iterator[Finding]:
    patch, apply_to = placed.patch.patch, placed.patch.apply_to
    if patch is None or patch.value is None or patch.operation is Operation.REMOVE or apply_to not in _CLASSES:
        return
    cls = _CLASSES[apply_to]
    found = list(_findings(cls.DESCRIPTOR, patch.value.plain(), placed.value_path))
    yield from found
    if found:
        return
    try:
        read = codec.from_json(cls, patch.value.plain())
    except ValueError as error:
        yield Finding(placed.value_path, f"is no {cls.DESCRIPTOR.name}: {error}", "correct it")
        return
    if patch.operation not in MERGES:
        try:
            check_part(read)
        except BrokenError as error:
            yield Finding(placed.value_path, f"would be refused by Envoy: {error}", "complete it")


def _findings(descriptor: Descriptor, data: object, path: Path) -> Iterator[Finding]:
    if descriptor.full_name == _ANY:
        yield from _any_findings(data, path)
    elif not isinstance(data, Mapping):
        yield Finding(path, f"is not a mapping, as {descriptor.name} has to be")
    else:
        by_name = {name: field for field in descriptor.fields for name in (field.name, field.json_name)}
        for key, item in data.items():
            field = by_name.get(key)
            if field is None:
                yield Finding((*path, key), f"is not a known field of {descriptor.name}", _nearest(key, descriptor))
            elif item is not None:
                yield from _field_findings(descriptor, field, key, item, (*path, key))


def _nearest(key: str, descriptor: Descriptor) -> str:
    names = [field.name for field in descriptor.fields]
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.65)
    return f"did you mean {close[0]}?" if close else f"known fields are {', '.join(names) or '(none)'}"


def _field_findings(
    parent: Descriptor, field: FieldDescriptor, key: str, item: object, path: Path
) -> Iterator[Finding]:
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        inner = inner.fields_by_name["value"].message_type
        if inner is not None and _is_walked(inner) and isinstance(item, Mapping):
            for name, each in item.items():
                yield from _findings(inner, each, (*path, str(name)))
            return
    elif inner is not None and _is_walked(inner):
        if not field.is_repeated:
            yield from _findings(inner, item, path)
            return
        if isinstance(item, list):
            for index, each in enumerate(item):
                yield from _findings(inner, each, (*path, index))
            return
    yield from _leaf_findings(parent, key, item, path)


def _is_walked(descriptor: Descriptor) -> bool:
    """Messages that have fields in JSON: all but durations, wrappers and the like."""
    return descriptor.full_name == _ANY or not descriptor.full_name.startswith(_WELL_KNOWN)


def _leaf_findings(parent: Descriptor, key: str, item: object, path: Path) -> Iterator[Finding]:
    try:
        codec.from_json(codec.class_of(parent), {key: item})
    except ValueError as error:
        said = str(error).removeprefix(f"Failed to parse {key} field: ").partition(" at ")[0]
        yield Finding(path, f"can't be read: {said.rstrip('.')}")


def _any_findings(data: object, path: Path) -> Iterator[Finding]:
    url = data.get("@type") if isinstance(data, Mapping) else None
    if not isinstance(data, Mapping) or not isinstance(url, str) or not url:
        yield Finding(path, 'has no "@type"', 'name the type: "@type": type.googleapis.com/envoy.extensions…')
        return
    found = codec.message_of(url)
    if found is None:
        yield Finding((*path, "@type"), f"names {url!r}, which is not a known type", _MEND_TYPE)
    elif _is_walked(found.DESCRIPTOR):
        yield from _findings(found.DESCRIPTOR, {key: each for key, each in data.items() if key != "@type"}, path)
