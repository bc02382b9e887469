"""An adapter opened with parameters as an operator writes them, at a clock that the test turns."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import attrs
from prometheus_client import CollectorRegistry

from mixer.handler import Instance, InstanceType, Surroundings, handler_type
from mixer.templates import find_template


@attrs.define
class Clock:
    """Seconds, both monotonic and since 1970."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def opened(
    adapter: str,
    params: Mapping[str, Any],
    clock: Clock | None = None,
    registry: CollectorRegistry | None = None,
    instances: tuple[InstanceType, ...] = (),
) -> Any:
    type_ = handler_type(adapter)
    value, findings = type_.parse(params)
    assert not findings, findings
    clock = clock or Clock()
    services = {"registry": registry} if registry else {}
    return type_.open(value, Surroundings(f"{adapter}.default", instances, clock, clock, services))


def instance(template: str, name: str = "one", /, **fields: Any) -> Instance:
    return Instance(name, "default", template, fields)


def instance_type(template: str, name: str = "one") -> InstanceType:
    return InstanceType(name, "default", find_template(template), {})


def opened_now(adapter: str, params: Mapping[str, Any], **services: Any) -> Any:
    """The same at the machine's clocks, for handlers that wait for somebody."""
    type_ = handler_type(adapter)
    value, findings = type_.parse(params)
    assert not findings, findings
    return type_.open(value, Surroundings(f"{adapter}.default", (), time.monotonic, time.time, services))
