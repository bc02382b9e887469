"""The merged view of all platforms: every service once, endpoints of all platforms in it.

Made by `adapters.merge`; read by `pilot.plan`. Two catalogs share the Service objects that did not change, so
`changed` is a comparison of identities and costs microseconds a service.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from pilot.model.service import Service, ServiceKey

_NOTHING: Mapping[ServiceKey, Service] = MappingProxyType({})


@attrs.frozen(eq=False)
class Catalog:
    services: Mapping[ServiceKey, Service] = _NOTHING

    def changed(self, before: Catalog) -> frozenset[ServiceKey]:
        """Keys whose service was added, removed or replaced since `before`."""
        old, new = before.services, self.services
        keys = {key for key, service in new.items() if old.get(key) is not service}
        return frozenset(keys | (old.keys() - new.keys()))
