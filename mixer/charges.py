"""What a request costs: QuotaSpecs, bound to services by QuotaSpecBindings, as amounts of quotas by name. Pure.

Part of a RuleSet. Proxies' checks ask it (mixer/v1/config/client/quota.proto, service.proto); direct callers of Check
say by themselves what they want.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs
import re2

from galley.config import Config, ConfigObject
from galley.finding import Finding
from galley.kinds.mixer_client import AttributeStringMatch, IstioService, QuotaRule, QuotaSpec
from mixer.attributes import Bag, ValueType, Vocabulary

_TEXTS = frozenset({ValueType.STRING, ValueType.DNS_NAME, ValueType.EMAIL_ADDRESS, ValueType.URI})
Told = tuple[ConfigObject[Any], Finding]


@attrs.frozen
class _Clause:
    attribute: str
    match: AttributeStringMatch

    def holds(self, bag: Bag) -> bool:
        value = bag.get(self.attribute)
        if not isinstance(value, str):
            return False
        if self.match.exact is not None:
            return value == self.match.exact
        if self.match.prefix is not None:
            return value.startswith(self.match.prefix)
        return self.match.regex is not None and re2.fullmatch(self.match.regex, value) is not None


@attrs.frozen
class _Price:
    """One rule of a QuotaSpec: the quotas of requests for which all clauses of one of the matches hold."""

    matches: tuple[tuple[_Clause, ...], ...]
    quotas: tuple[tuple[str, int], ...]

    def holds(self, bag: Bag) -> bool:
        return not self.matches or any(all(each.holds(bag) for each in match) for match in self.matches)


@attrs.frozen(eq=False)
class Charges:
    """Prices with the services whose requests cost them."""

    prices: tuple[tuple[tuple[IstioService, ...], tuple[_Price, ...]], ...] = ()

    def of(self, bag: Bag) -> dict[str, int]:
        """Amounts by quota; what several rules charge of one quota is added up."""
        found: dict[str, int] = {}
        for services, prices in self.prices:
            if not any(_is(service, bag) for service in services):
                continue
            for price in prices:
                if price.holds(bag):
                    for name, amount in price.quotas:
                        found[name] = found.get(name, 0) + amount
        return found

    def concern(self, known: Mapping[str, str]) -> bool:
        """Whether requests may cost anything of which these attributes are sure."""
        return any(_may_be(service, known) for services, _ in self.prices for service in services)


NO_CHARGES = Charges()


def compile_charges(config: Config, vocabulary: Vocabulary) -> tuple[Charges, list[Told]]:
    """The charges, and what is wrong, with its object; what has a mistake charges nothing."""
    told: list[Told] = []
    specs = {(each.namespace, each.name): each for each in config.quota_specs}
    prices = {key: tuple(_prices(each, vocabulary, told)) for key, each in specs.items()}
    found = []
    for binding in config.quota_spec_bindings:
        services = tuple(_placed(each, binding.namespace) for each in binding.spec.services)
        bound: list[_Price] = []
        for number, reference in enumerate(binding.spec.quota_specs):
            key = reference.namespace or binding.namespace, reference.name
            if key not in prices:
                message = f"refers to QuotaSpec {key[0]}/{key[1]}, not found"
                told.append((binding, Finding(("spec", "quotaSpecs", number), message, "create it")))
            bound += prices.get(key, ())
        found.append((services, tuple(bound)))
    return Charges(tuple(found)), told


def _prices(spec: ConfigObject[QuotaSpec], vocabulary: Vocabulary, told: list[Told]) -> Iterator[_Price]:
    for number, rule in enumerate(spec.spec.rules):
        findings = list(_faults(rule, number, vocabulary))
        told += ((spec, each) for each in findings)
        if not findings:
            matches = tuple(tuple(_Clause(*clause) for clause in match.clause) for match in rule.match)
            yield _Price(matches, tuple((each.quota, each.charge) for each in rule.quotas))


def _faults(rule: QuotaRule, number: int, vocabulary: Vocabulary) -> Iterable[Finding]:
    here = ("spec", "rules", number)
    for index, match in enumerate(rule.match):
        for attribute, text in match.clause:
            path = (*here, "match", index, "clause", attribute)
            if attribute not in vocabulary.types:
                yield Finding(path, "is an unknown attribute", vocabulary.nearest(attribute))
            elif vocabulary.types[attribute] not in _TEXTS:
                yield Finding(path, f"is {vocabulary.types[attribute].value}, and texts are matched", "choose another")
            if text.regex is not None and (fault := _regex_fault(text.regex)):
                yield Finding((*path, "regex"), fault, "correct it; the syntax is RE2's")
    for index, quota in enumerate(rule.quotas):
        if quota.charge < 1:
            yield Finding((*here, "quotas", index, "charge"), f"is {quota.charge}", "make it 1 or more")


def _regex_fault(pattern: str) -> str:
    try:
        re2.compile(pattern)
    except re2.error as error:
        return f"is no regular expression: {error}"
    return ""


def _placed(service: IstioService, namespace: str) -> IstioService:
    """With the binding's namespace where it says none."""
    return service if service.service or service.namespace else attrs.evolve(service, namespace=namespace)


def _is(service: IstioService, bag: Bag) -> bool:
    wanted = service.labels
    labels = bag.get("destination.labels")
    if wanted and not (isinstance(labels, Mapping) and all(labels.get(key) == value for key, value in wanted)):
        return False
    if service.service:
        return service.service in ("*", bag.get("destination.service.host"))
    return all(bag.get(name) == value for name, value in _facts(service))


def _may_be(service: IstioService, known: Mapping[str, str]) -> bool:
    if service.service:
        return service.service == "*" or known.get("destination.service.host") in (None, service.service)
    return all(known.get(name) in (None, value) for name, value in _facts(service))


def _facts(service: IstioService) -> Iterator[tuple[str, str]]:
    yield "destination.service.name", service.name
    yield "destination.service.namespace", service.namespace
    if service.domain:
        yield "destination.service.host", f"{service.name}.{service.namespace}.{service.domain}"
