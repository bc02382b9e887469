"""One encoded xDS resource, and the sets of them that a stream is served from.

`pilot.envoy` makes them (`version` is a hash of the content, so that the same content after a restart has the same
version), `pilot.xds.cache` keeps them, `pilot.xds.protocol` decides which are sent. No Envoy type, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

CDS = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
EDS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LDS = "type.googleapis.com/envoy.config.listener.v3.Listener"
RDS = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
SDS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"

ORDER = (SDS, CDS, EDS, LDS, RDS)
"""The order in which one change is told on an aggregated stream (make before break)."""

SHORT_NAMES: Mapping[str, str] = MappingProxyType({CDS: "CDS", EDS: "EDS", LDS: "LDS", RDS: "RDS", SDS: "SDS"})


@attrs.frozen(eq=False)
class Resource:
    """`body` is the encoded message (without its Any). Equal by identity: the cache gives one object per content.

    `refers` names what must be served with it: a cluster's load assignment, a listener's routes. `fragment` and
    `delta_fragment` are `body` as a `resources` field of DiscoveryResponse and of DeltaDiscoveryResponse (tag and
    length included), made once so that a response is a join. `patches` names the EnvoyFilters that
    changed it, or the one that brought it if it is `added`.
    """

    type_url: str
    name: str
    version: str
    body: bytes = attrs.field(repr=False)
    fragment: bytes = attrs.field(repr=False)
    delta_fragment: bytes = attrs.field(repr=False)
    refers: tuple[tuple[str, str], ...] = ()
    origin: str = ""
    patches: tuple[str, ...] = ()
    added: bool = False

    @property
    def caused_by(self) -> str:
        """Every configuration object that is known to have had a hand in it."""
        return ", ".join(filter(None, (self.origin, *self.patches)))


@attrs.frozen(eq=False)
class ResourceSet:
    """All resources of one type for one view. `version` is a hash over the names and versions inside."""

    type_url: str
    version: str
    resources: Mapping[str, Resource]


Resources = Mapping[str, ResourceSet]
"""By type URL. What one proxy may be told; a type that is not in it is served as empty."""
