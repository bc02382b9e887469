"""Decides who may ask a workload for what: AuthorizationPolicy as rules that Envoy enforces. Pure.

Of the policies for a workload the denying ones stand before the allowing ones; with any that allow, what none of them
takes is denied. What a connection can't tell (HTTP on a port of TCP) and what is not known at all is left to the safe
side: such a rule allows nothing, and denies by what is left of it. `pilot.verdict` decides the same by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from galley.config import Config, ConfigObject
from galley.kinds.authorization_policy import Action, AuthorizationPolicy
from galley.kinds.mesh_config import ROOT_NAMESPACE, Normalization
from galley.kinds.selector import references
from galley.providers import mesh_config
from pilot import ir
from pilot.ir.authorization import Rbac, RbacAction, RbacRule
from pilot.model.service import Labels
from pilot.plan.authorization_rules import Circumstances, compiled
from pilot.plan.peers import Peers
from pilot.plan.targets import aims_at

Policy = ConfigObject[AuthorizationPolicy]
_ACTIONS = (
    (RbacAction.DENY, (Action.CUSTOM, Action.DENY)),
    (RbacAction.LOG, (Action.AUDIT,)),
    (RbacAction.ALLOW, (Action.ALLOW,)),
)
"""In the order of the filters, and what Istio's actions become: no authorizer is asked, so that CUSTOM denies."""
_STRONGEST = Normalization.DECODE_AND_MERGE_SLASHES


@attrs.frozen(eq=False)
class Policies:
    """All AuthorizationPolicies by NAMESPACE/NAME."""

    by_name: Mapping[str, Policy] = attrs.field(factory=dict)
    root_namespace: str = ROOT_NAMESPACE

    @classmethod
    def of(cls, config: Config) -> Policies:
        found = {f"{each.namespace}/{each.name}": each for each in config.authorization_policies}
        return cls(found, mesh_config(config).root_namespace)

    def names(self, namespace: str, labels: Labels, gateways: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Those for a workload, or for a router that these Gateways select: of its namespace or the mesh's."""
        return tuple(
            name
            for name, each in self.by_name.items()
            if each.namespace in (namespace, self.root_namespace) and _takes_in(each, labels, gateways)
        )


def _takes_in(policy: Policy, labels: Labels, gateways: tuple[str, ...]) -> bool:
    spec = policy.spec
    targets = references(spec.target_ref, spec.target_refs)
    return aims_at(spec.selector, targets, policy.namespace, labels, gateways)


def guarded(listener: ir.Listener, policies: Policies, names: tuple[str, ...], port: int, peers: Peers) -> ir.Listener:
    """The listener for the workload's `port`, with these policies before each of its chains."""
    chosen = [policies.by_name[name] for name in names]
    normalization = _normalization(chosen, peers)

    def guard(chain: ir.FilterChain) -> ir.FilterChain:
        http = isinstance(chain.filter, ir.HttpConnectionManager)
        found = rules(chosen, Circumstances(port, http, peers.trust_domains))
        if isinstance(chain.filter, ir.HttpConnectionManager):
            manager = attrs.evolve(
                chain.filter,
                authorization=found,
                normalize_path=normalization is not Normalization.NONE,
                merge_slashes=normalization in (Normalization.MERGE_SLASHES, _STRONGEST),
                unescape_slashes=normalization is _STRONGEST,
            )
            return attrs.evolve(chain, filter=manager)
        return attrs.evolve(chain, filter=attrs.evolve(chain.filter, authorization=found))

    return attrs.evolve(listener, chains=tuple(map(guard, listener.chains)))


def rules(policies: Iterable[Policy], circumstances: Circumstances) -> tuple[Rbac, ...]:
    """What of the policies is to be enforced there, one filter for each action."""
    policies = tuple(policies)
    found = (
        _filter(action, [each for each in policies if each.spec.action in of], circumstances) for action, of in _ACTIONS
    )
    return tuple(each for each in found if each.enforced or each.shadow)


def _filter(action: RbacAction, policies: Iterable[Policy], circumstances: Circumstances) -> Rbac:
    denies = action is not RbacAction.ALLOW
    tried: list[Policy] = []
    enforced: list[Policy] = []
    for policy in policies:
        (tried if is_dry_run(policy) else enforced).append(policy)
    return Rbac(
        action,
        rules=tuple(each for policy in enforced for each in _rules(policy, denies, circumstances)),
        shadow=tuple(each for policy in tried for each in _rules(policy, denies, circumstances)),
        enforced=bool(enforced),
    )


def is_dry_run(policy: Policy) -> bool:
    return dict(policy.annotations).get("istio.io/dry-run") == "true"


def _rules(policy: Policy, denies: bool, circumstances: Circumstances) -> Iterable[RbacRule]:
    for index, rule in enumerate(policy.spec.rules):
        pair = compiled(rule, policy.namespace, denies, circumstances)
        if pair:
            yield RbacRule(f"ns[{policy.namespace}]-policy[{policy.name}]-rule[{index}]", *pair)


def _normalization(policies: Iterable[Policy], peers: Peers) -> Normalization:
    """As the mesh says; else the strongest where a policy looks at paths, so that no spelling gets around it."""
    said = peers.mesh.path_normalization.normalization if peers.mesh.path_normalization else Normalization.DEFAULT
    if said is not Normalization.DEFAULT:
        return said
    return _STRONGEST if any(map(_looks_at_paths, policies)) else Normalization.BASE


def _looks_at_paths(policy: Policy) -> bool:
    operations = (to.operation for rule in policy.spec.rules for to in rule.to)
    return any(each and (each.paths or each.not_paths) for each in operations)
