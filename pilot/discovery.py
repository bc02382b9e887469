"""Holds what every connected proxy is told, and wakes streams when that changes: the Directory of the xDS server.

`publish` is called by the composition root with each new snapshot; all calls come from one event loop. Before the
first snapshot proxies may connect and wait: a control plane that does not know the mesh yet says nothing, so that
proxies keep what they have.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from galley.config import Problem
from galley.gateway_api.status import Status
from pilot.generate import Generator
from pilot.model.agent import NOBODY, Agent
from pilot.model.catalog import Catalog
from pilot.model.proxy import OutboundView, Proxy, ProxyView, parse_proxy
from pilot.model.service import Locality
from pilot.model.snapshot import Snapshot
from pilot.plan.credentials import find, is_credential, place
from pilot.xds.access import Admitted
from pilot.xds.protocol import Node, NodeLocality
from pilot.xds.resource import SDS, Resources

log = logging.getLogger(__name__)
STRANGER = Admitted("")
"""Somebody who proved nothing."""
_MEND = "correct it; everything else is served, and so is the resource without it"


@attrs.define(eq=False)
class _Live:
    """One view in use: what its proxies are told, and the streams to wake when that changes."""

    view: ProxyView
    resources: Resources | None
    callbacks: dict[Subscription, Callable[[], None]] = attrs.field(factory=dict)
    subscriptions: int = 0


class Subscription:
    """One stream's hold on its view. See `pilot.xds.directory.Subscription`."""

    def __init__(self, owner: Discovery, live: _Live, proxy: Proxy) -> None:
        self._owner = owner
        self._live = live
        self.proxy = proxy

    def resources(self) -> Resources | None:
        return self._live.resources

    def on_change(self, callback: Callable[[], None]) -> None:
        self._live.callbacks[self] = callback

    def withheld(self, names: Iterable[str]) -> Mapping[str, str]:
        return self._owner.withheld(self.proxy.view, self._live.resources, names)

    def close(self) -> None:
        self._live.callbacks.pop(self, None)
        self._owner.release(self._live)


class Discovery:
    """Snapshots in, resources per view out. `plaintext_secrets`: whether secrets are told to who proved nothing."""

    def __init__(self, *, plaintext_secrets: bool = False) -> None:
        self._plaintext_secrets = plaintext_secrets
        self._generator = Generator()
        self._snapshot: Snapshot | None = None
        self._views: dict[ProxyView, _Live] = {}
        self.problems: dict[str, str] = {}
        """Plans that were not served since they were inconsistent, by view; empty when all is well."""

    @property
    def ready(self) -> bool:
        return self._snapshot is not None

    @property
    def snapshot(self) -> Snapshot | None:
        """What is being served."""
        return self._snapshot

    @property
    def catalog(self) -> Catalog:
        """The services of that snapshot, those of its configuration among them."""
        return self._generator.catalog

    def left_out(self) -> tuple[Problem, ...]:
        """EnvoyFilters that would have broken what a connected proxy is told, and so are not in it."""
        if self._snapshot is None:
            return ()
        where = {str(each): each.origin for each in self._snapshot.config.envoy_filters}
        found = sorted(self._generator.left_out, key=lambda each: (each.source, each.resource, each.reason))
        return tuple(Problem(where.get(each.source, ""), each.source, each.text, _MEND) for each in found)

    @property
    def statuses(self) -> tuple[Status, ...]:
        """What became of the snapshot's objects of the Gateway API."""
        return self._generator.statuses

    @property
    def encoded(self) -> int:
        """Resources encoded since the start."""
        return self._generator.encoded

    @property
    def views(self) -> int:
        """How many different views the connected proxies have."""
        return len(self._views)

    def publish(self, snapshot: Snapshot) -> None:
        """From now on proxies are told `snapshot`; streams whose view is affected are woken."""
        self._snapshot = snapshot
        self._generator.update(snapshot)
        for live in self._views.values():
            found = self._resources(live.view, live.resources)
            if found is live.resources:
                continue
            changed = live.resources is None or found is None or _differ(live.resources, found)
            live.resources = found
            if changed:
                for callback in tuple(live.callbacks.values()):
                    callback()

    def connect(self, node: Node, caller: Admitted = STRANGER) -> Subscription:
        """NodeError (a ValueError) if the node's id or metadata can't be used."""
        proxy = parse_proxy(node.id, node.metadata, _place(node.locality), agent_of(node))
        if caller.namespace == proxy.namespace if caller.known else self._plaintext_secrets:
            proxy = attrs.evolve(proxy, view=_with_secrets(proxy.view))
        live = self._views.get(proxy.view)
        if live is None:
            live = self._views[proxy.view] = _Live(proxy.view, self._resources(proxy.view, None))
        live.subscriptions += 1
        return Subscription(self, live, proxy)

    def release(self, live: _Live) -> None:
        """A stream of the view ended; the last one takes the view with it."""
        live.subscriptions -= 1
        if not live.subscriptions:
            del self._views[live.view]
            self.problems.pop(str(live.view), None)
            self._generator.forget(live.view)

    def resources_for(
        self,
        node_id: str,
        metadata: Mapping[str, Any],
        locality: NodeLocality = NodeLocality(),  # noqa: B008 - frozen
        agent: Agent = NOBODY,
    ) -> Resources | None:
        """What such a proxy would be told now, for `/debug/config_dump`; None before the first snapshot."""
        view = parse_proxy(node_id, metadata, _place(locality), agent).view
        secret = _with_secrets(view)
        return self._resources(secret if secret in self._views else view, None)

    def withheld(self, view: ProxyView, resources: Resources | None, names: Iterable[str]) -> Mapping[str, str]:
        """Secrets that a proxy is not told although it asks, and why; one that it may have and is missing is none."""
        there = resources[SDS].resources if resources else {}
        reasons = {name: self._reason(view.outbound, name) for name in names if name not in there}
        return {name: reason for name, reason in reasons.items() if reason}

    def _reason(self, view: OutboundView, name: str) -> str:
        if self._snapshot is None:
            return ""
        if not is_credential(name):
            return "no such secret is handed out here"
        if not view.secrets:
            return "the proxy proved no identity, and secrets are for the secure port (--xds-tls-addr)"
        namespace, _ = place(name, view.namespace)
        if namespace != view.namespace:
            refers = name in self._generator.granted(view.namespace)
            return "" if refers else f"it is of namespace {namespace[:63]!r}, and the proxy of {view.namespace!r}"
        there = find(self._snapshot.credentials, view.namespace, name) is not None
        return "the proxy's configuration does not refer to it" if there else ""

    def missing_secrets(self) -> tuple[Problem, ...]:
        """What configuration of connected proxies refers to and they are not told."""
        found: dict[Problem, None] = {}
        for view in tuple(self._views) if self._snapshot else ():
            for name, origin in self._generator.missing_secrets(view):
                namespace, wanted = place(name, view.outbound.namespace)
                if view.outbound.secrets:
                    message = f"secret {namespace}/{wanted} is missing or was never usable"
                    mend = "put it into a source of --credentials; until then what needs it refuses connections"
                else:
                    message = f"secret {namespace}/{wanted} is withheld from proxies that connect in plain text"
                    mend = "let them connect to the secure port (--xds-tls-addr), or give --xds-plaintext-secrets"
                found[Problem("", origin, message, mend)] = None
        return tuple(found)

    def _resources(self, view: ProxyView, last: Resources | None) -> Resources | None:
        if self._snapshot is None:
            return None
        try:
            found = self._generator.resources(view)
        except Exception as error:
            known = isinstance(error, ValueError)  # an inconsistent plan, two resources of one name
            log.error(
                "a plan was not served: %s; proxies keep what they have",
                error,
                extra={"view": str(view)},
                exc_info=not known,
            )
            self.problems[str(view)] = str(error)
            return last
        self.problems.pop(str(view), None)
        return found


def _with_secrets(view: ProxyView) -> ProxyView:
    return attrs.evolve(view, outbound=attrs.evolve(view.outbound, secrets=True))


def agent_of(node: Node) -> Agent:
    """The program that the node says it is."""
    return Agent(node.user_agent_name, node.user_agent_version)


def _place(locality: NodeLocality) -> Locality:
    return Locality(locality.region, locality.zone, locality.sub_zone)


def _differ(old: Resources, new: Resources) -> bool:
    return any(old.get(type_url) is not each for type_url, each in new.items())
