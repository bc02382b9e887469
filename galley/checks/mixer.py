"""What Mixer's kinds must hold beyond their types, as far as one object alone can say.

Expressions, and whether handlers and instances exist, are `mixer.rules`'s: galley knows no attributes.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator

from galley.checks.regex import judge
from galley.checks.values import check_dns_label, check_dns_name, check_duration
from galley.document import Path
from galley.finding import Finding
from galley.kinds.mixer import (
    AttributeManifest,
    AttributeType,
    Denominator,
    Handler,
    HeaderOperation,
    HeaderOperationTemplate,
    Instance,
    Rule,
    RuleFailPolicy,
    Sampling,
)
from galley.kinds.mixer_client import (
    Attributes,
    AttributeStringMatch,
    HTTPAPISpec,
    HTTPAPISpecBinding,
    IstioService,
    QuotaSpec,
    QuotaSpecBinding,
    SpecReference,
)

_SPEC: Path = ("spec",)
_ATTRIBUTE = re.compile(r"[a-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_HEADER = re.compile(r":?[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PERCENT = {Denominator.HUNDRED: 100, Denominator.TEN_THOUSAND: 10_000}
_MOST_RETRIES = 10
_MILLISECOND = datetime.timedelta(milliseconds=1)


def check_attribute_manifest(spec: AttributeManifest) -> Iterator[Finding]:
    """All findings of one attributemanifest, paths starting at `spec`, as of the others here."""
    for name, info in spec.attributes:
        here = (*_SPEC, "attributes", name)
        if not _ATTRIBUTE.fullmatch(name):
            yield Finding(here, "is no name of an attribute", "write words with dots between them, as in a.b_c")
        if info.value_type is AttributeType.VALUE_TYPE_UNSPECIFIED:
            yield Finding((*here, "valueType"), "is missing", "say the type, such as STRING")


def check_handler(spec: Handler) -> Iterator[Finding]:
    if not (spec.compiled_adapter or spec.adapter):
        yield Finding(_SPEC, "names no adapter", "name one of ours in compiledAdapter, or an adapter object in adapter")
    if spec.adapter and spec.connection is None:
        yield Finding((*_SPEC, "connection"), "is missing", "say at which address the adapter listens")
    if spec.connection is not None:
        here = (*_SPEC, "connection")
        auth = spec.connection.authentication
        if auth is not None and auth.tls is not None and auth.tls.oauth is not None:
            yield Finding((*here, "authentication", "tls", "oauth"), "is not supported", "use tokenPath")
        if not spec.connection.address:
            yield Finding((*here, "address"), "is missing", "write HOST:PORT")
        yield from check_duration(spec.connection.timeout, (*here, "timeout"), least=_MILLISECOND)


def check_instance(spec: Instance) -> Iterator[Finding]:
    if not (spec.compiled_template or spec.template):
        yield Finding(_SPEC, "names no template", "name one of ours in compiledTemplate")


def check_rule(spec: Rule) -> Iterator[Finding]:
    for index, action in enumerate(spec.actions):
        here = (*_SPEC, "actions", index)
        if not action.handler:
            yield Finding((*here, "handler"), "is missing", "name a handler")
        if not action.instances:
            yield Finding((*here, "instances"), "is missing", "name the instances that the handler is given")
    yield from _headers(spec.request_header_operations, (*_SPEC, "requestHeaderOperations"))
    yield from _headers(spec.response_header_operations, (*_SPEC, "responseHeaderOperations"))
    if spec.sampling is not None:
        yield from _sampling(spec.sampling, (*_SPEC, "sampling"))
    if spec.fail_policy is not None:
        yield from _fail_policy(spec.fail_policy, (*_SPEC, "failPolicy"))


def _headers(operations: Iterable[HeaderOperationTemplate], path: Path) -> Iterator[Finding]:
    for index, each in enumerate(operations):
        here = (*path, index)
        if not _HEADER.fullmatch(each.name):
            yield Finding((*here, "name"), f"{each.name!r} is no name of a header", "name one, such as x-user")
        if each.operation is not HeaderOperation.REMOVE and not each.values:
            yield Finding((*here, "values"), "is missing", "give an expression, or use REMOVE")


def _sampling(sampling: Sampling, path: Path) -> Iterator[Finding]:
    percent = sampling.random.percent_sampled if sampling.random else None
    if percent is not None and percent.numerator > _PERCENT[percent.denominator]:
        here = (*path, "random", "percentSampled", "numerator")
        yield Finding(here, f"{percent.numerator} is more than {_PERCENT[percent.denominator]}, the whole")
    limit = sampling.rate_limit
    if limit is not None:
        here = (*path, "rateLimit")
        if limit.sampling_duration is None:
            yield Finding((*here, "samplingDuration"), "is missing", "say how long a window is")
        yield from check_duration(limit.sampling_duration, (*here, "samplingDuration"), least=_MILLISECOND)
        if limit.max_unsampled_entries < 0:
            yield Finding((*here, "maxUnsampledEntries"), f"must not be negative, it is {limit.max_unsampled_entries}")
        if limit.sampling_rate < 1:
            yield Finding((*here, "samplingRate"), f"must be at least 1, it is {limit.sampling_rate}", "one in so many")


def _fail_policy(policy: RuleFailPolicy, path: Path) -> Iterator[Finding]:
    yield from check_duration(policy.timeout, (*path, "timeout"), least=_MILLISECOND)
    yield from check_duration(policy.base_retry_wait, (*path, "baseRetryWait"))
    yield from check_duration(policy.max_retry_wait, (*path, "maxRetryWait"))
    if policy.max_retry > _MOST_RETRIES:
        yield Finding((*path, "maxRetry"), f"is more than {_MOST_RETRIES}", "a request waits for all of them")


def check_quota_spec(spec: QuotaSpec) -> Iterator[Finding]:
    for index, rule in enumerate(spec.rules):
        here = (*_SPEC, "rules", index)
        for number, match in enumerate(rule.match):
            for name, clause in match.clause:
                yield from _string_match(clause, (*here, "match", number, "clause", name))
        if not rule.quotas:
            yield Finding((*here, "quotas"), "is missing", "name the quotas that are charged")
        for number, quota in enumerate(rule.quotas):
            there = (*here, "quotas", number)
            if not quota.quota:
                yield Finding((*there, "quota"), "is missing", "name a quota instance")
            if quota.charge < 1:
                yield Finding((*there, "charge"), f"must be at least 1, it is {quota.charge}")


def _string_match(match: AttributeStringMatch, path: Path) -> Iterator[Finding]:
    if match == AttributeStringMatch():
        yield Finding(path, "matches nothing", "give exact, prefix or regex")
    if match.regex is not None and (judgement := judge(match.regex)).fault:
        yield Finding((*path, "regex"), judgement.fault, judgement.mend)


def check_quota_spec_binding(spec: QuotaSpecBinding) -> Iterator[Finding]:
    yield from _services(spec.services)
    yield from _references(spec.quota_specs, "quotaSpecs")


def check_http_api_spec(spec: HTTPAPISpec) -> Iterator[Finding]:
    yield from _attributes(spec.attributes, (*_SPEC, "attributes"))
    for index, pattern in enumerate(spec.patterns):
        here = (*_SPEC, "patterns", index)
        yield from _attributes(pattern.attributes, (*here, "attributes"))
        if pattern.uri_template is None and pattern.regex is None:
            yield Finding(here, "has no pattern", "give uriTemplate or regex")
        if pattern.regex is not None and (judgement := judge(pattern.regex)).fault:
            yield Finding((*here, "regex"), judgement.fault, judgement.mend)
    for index, key in enumerate(spec.api_keys):
        if not (key.query or key.header or key.cookie):
            yield Finding((*_SPEC, "apiKeys", index), "says not where the key is", "give query, header or cookie")


def _attributes(attributes: Attributes | None, path: Path) -> Iterator[Finding]:
    for name, _ in attributes.attributes if attributes else ():
        if not _ATTRIBUTE.fullmatch(name):
            here = (*path, "attributes", name)
            yield Finding(here, "is no name of an attribute", "write words with dots between them, as in a.b_c")


def check_http_api_spec_binding(spec: HTTPAPISpecBinding) -> Iterator[Finding]:
    yield from _services(spec.services)
    yield from _references(spec.api_specs, "apiSpecs")


def _services(services: tuple[IstioService, ...]) -> Iterator[Finding]:
    if not services:
        yield Finding((*_SPEC, "services"), "is missing", "name the services, or service: '*'")
    for index, each in enumerate(services):
        if not (each.name or each.service):
            yield Finding((*_SPEC, "services", index), "names no service", "give name, or service")


def _references(references: tuple[SpecReference, ...], field: str) -> Iterator[Finding]:
    path = (*_SPEC, field)
    if not references:
        yield Finding(path, "is missing", "name at least one")
    for index, each in enumerate(references):
        yield from check_dns_name(each.name, (*path, index, "name"))
        if each.namespace:
            yield from check_dns_label(each.namespace, (*path, index, "namespace"))
