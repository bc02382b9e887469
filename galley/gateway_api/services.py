"""The services of the mesh by what the Gateway API calls them: a name in a namespace, or a host. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs


@attrs.frozen
class KnownService:
    """A service; `names` are none for one that goes by its host alone, `aliases` further hosts of it."""

    namespace: str
    host: str
    ports: tuple[int, ...]
    names: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


@attrs.frozen(eq=False)
class Services:
    """All of them; of several by one name the first by host."""

    by_name: Mapping[tuple[str, str], KnownService]
    by_host: Mapping[str, tuple[KnownService, ...]]

    @classmethod
    def of(cls, services: Iterable[KnownService]) -> Services:
        by_name: dict[tuple[str, str], KnownService] = {}
        by_host: dict[str, tuple[KnownService, ...]] = {}
        for each in sorted(services, key=lambda each: (each.namespace, each.host)):
            for host in (each.host, *each.aliases):
                by_host[host] = (*by_host.get(host, ()), each)
            for name in each.names:
                by_name.setdefault((each.namespace, name), each)
        return cls(by_name, by_host)

    def named(self, name: str, namespace: str) -> KnownService | None:
        """The service of that namespace that goes by the name, or by the host."""
        found = (each for each in self.by_host.get(name, ()) if each.namespace == namespace)
        return next(found, None) or self.by_name.get((namespace, name))

    def at(self, host: str, namespace: str) -> KnownService | None:
        """The service of a host, of whatever namespace: of this one first."""
        found = self.by_host.get(host, ())
        return next((each for each in found if each.namespace == namespace), found[0] if found else None)
