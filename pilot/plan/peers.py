"""Decides which connections a workload takes from peers: PeerAuthentication, by Istio's rules of inheritance. Pure.

The port's mode, else the one of the object that selects the workload, else its namespace's, else the mesh's, which is
an object without selector in the root namespace; UNSET is what the level above says, and above all is PERMISSIVE. Of
several objects at one level the oldest counts; those that do not say when they were made come last, by name.

The mesh's trust domain is kept here too, for who the peers are.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable

import attrs

from galley.config import Config, ConfigObject
from galley.kinds.mesh_config import MeshConfig
from galley.kinds.peer_authentication import MutualTLS, MutualTLSMode, PeerAuthentication
from pilot.model.security import PeerMode, Security
from pilot.model.service import Labels, has_labels

Rule = ConfigObject[PeerAuthentication]
_NEVER = datetime.datetime.max.replace(tzinfo=datetime.UTC)


@attrs.frozen(eq=False)
class Peers:
    """All PeerAuthentications, those that count first, and the settings of the mesh."""

    rules: tuple[Rule, ...] = ()
    mesh: MeshConfig = attrs.field(factory=MeshConfig)

    @classmethod
    def of(cls, config: Config, before: Peers | None = None) -> Peers:
        """`before` is given back where nothing differs, since planning goes by identity."""
        rules = oldest_first(config.peer_authentications)
        mesh = config.mesh_configs[0].spec if config.mesh_configs else MeshConfig()
        same = before and before.mesh == mesh and len(before.rules) == len(rules)
        if before and same and all(old is new for old, new in zip(before.rules, rules, strict=True)):
            return before
        return cls(rules, mesh)

    @property
    def trust_domains(self) -> tuple[str, ...]:
        """The mesh's own, and its aliases."""
        return tuple(dict.fromkeys((self.mesh.trust_domain, *self.mesh.trust_domain_aliases)))

    @property
    def root_namespace(self) -> str:
        """The one whose objects hold for the whole mesh."""
        return self.mesh.root_namespace

    def security(self, namespace: str, labels: Labels) -> Security:
        """What holds for the connections to a workload."""
        mode = self._level(self.root_namespace) or PeerMode.PERMISSIVE
        mode = self._level(namespace) or mode
        own = self._selecting(namespace, labels)
        if own is None:
            return Security(mode)
        mode = _said(own.spec.mtls) or mode
        ports = ((port, _said(each)) for port, each in own.spec.port_level_mtls)
        return Security(mode, tuple((port, said) for port, said in ports if said and said is not mode))

    def _level(self, namespace: str) -> PeerMode | None:
        found = next((rule for rule in self.rules if rule.namespace == namespace and not _selects(rule)), None)
        return _said(found.spec.mtls) if found else None

    def _selecting(self, namespace: str, labels: Labels) -> Rule | None:
        own = (rule for rule in self.rules if rule.namespace == namespace and _selects(rule))
        return next((rule for rule in own if has_labels(labels, _labels(rule))), None)


NOTHING_SAID = Peers()


def oldest_first(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The order in which objects of one level count."""
    return tuple(sorted(rules, key=lambda rule: (rule.created or _NEVER, rule.namespace, rule.name)))


def _selects(rule: Rule) -> bool:
    return bool(_labels(rule))


def _labels(rule: Rule) -> Labels:
    return rule.spec.selector.match_labels if rule.spec.selector else ()


def _said(settings: MutualTLS | None) -> PeerMode | None:
    if settings is None or settings.mode is MutualTLSMode.UNSET:
        return None
    return PeerMode(settings.mode.value)
