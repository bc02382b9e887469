"""Mixer's part of the control plane: the rules in force judge here, or are told to proxies, or both.

The control plane calls `publish` for every snapshot it is about to serve. Whether a Mixer runs in this process and
whether proxies are told of one are two questions: `service` and `addresses`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from galley.config import Problem
from mixer.compile import remote_needs
from mixer.ruleset import RuleSet
from mixer.service import MixerService
from pilot.model.catalog import Catalog
from pilot.model.mixer import MixerNeeds

Addresses = tuple[tuple[str, int], ...]


@attrs.frozen(eq=False)
class Policy:
    """`pilot.model.mixer.MixerPolicy` of one RuleSet."""

    addresses: Addresses
    rules: RuleSet

    def needs(self, known: Mapping[str, str]) -> MixerNeeds:
        """See `mixer.compile`."""
        return remote_needs(self.rules, known)


class MixerPart:
    """`addresses` is where proxies find Mixer, empty if they are told of none; `for_proxies`, whether that is amiss."""

    def __init__(
        self, service: MixerService | None = None, addresses: Addresses = (), *, for_proxies: bool = False
    ) -> None:
        self.service = service
        self.addresses = addresses
        self._for_proxies = for_proxies
        self._rules: RuleSet | None = None
        self._policy: Policy | None = None

    @property
    def problems(self) -> Sequence[Problem]:
        """What is wrong with the rules being there; with what they say, the rules tell themselves."""
        rules = self._rules.rules if self._rules else ()
        if not rules or not self._for_proxies or self.addresses:
            return ()
        message = "proxies are told of no Mixer: no rule counts for their traffic"
        mend = "name one by --mixer-server HOST:PORT, or run one here on an address that they reach (--mixer-addr)"
        return (Problem(rules[0].origin, str(rules[0]), message, mend, warning=True),)

    def publish(self, rules: RuleSet, catalog: Catalog) -> Policy | None:
        """Takes rules and catalog into force; what planning is to know of them."""
        if self.service is not None:
            self.service.know(catalog)
        if rules is not self._rules:
            self._rules = rules
            self._policy = Policy(self.addresses, rules) if rules.rules and self.addresses else None
            if self.service is not None:
                self.service.install(rules)
        return self._policy
