"""A RuleSet with its handlers open: what one request is judged by from its beginning to its end.

A new configuration makes a new epoch. Handlers whose configuration stayed are taken over; the others close when the
last request of the last epoch that had them is done. Belongs to one event loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mixer.open_handlers import OpenHandler
from mixer.ruleset import CompiledRule, RuleSet
from mixer.sampling import Sampler


class Epoch:
    """`users` are requests in progress."""

    def __init__(self, rules: RuleSet, former: Epoch | None, services: Mapping[str, Any]) -> None:
        self.rules = rules
        self.users = 0
        self.handlers: dict[str, OpenHandler] = {}
        open_now = former.handlers if former else {}
        for name, config in rules.handlers.items():
            known = open_now.get(name)
            same = known is not None and known.config.signature == config.signature
            self.handlers[name] = known if known is not None and same else OpenHandler(config, services)
        known_samplers = former.samplers if former else {}
        self.samplers: dict[CompiledRule, Sampler] = {
            rule: known_samplers.get(rule) or Sampler(rule.sampling) for rule in rules.rules if rule.sampling
        }

    def without(self, others: Iterable[Epoch]) -> list[OpenHandler]:
        """Its handlers that none of the others has."""
        needed = {id(handler) for other in others for handler in other.handlers.values()}
        return [handler for handler in self.handlers.values() if id(handler) not in needed]
