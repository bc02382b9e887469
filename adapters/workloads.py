"""What one platform knows of the instances that another tells: joined by the workload that an instance is of. Pure.

Kept by `adapters.merge`. Nomad can register a job's services in Consul, which then knows the instances and their
checks, while Nomad alone knows of which job they are, whether they are canaries, and which it is about to end. An
instance says of which allocation it is by a label; the facts told of that allocation are laid over it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from adapters.platform import Workload, Workloads
from pilot.model.service import Endpoint, Health, Service, ServiceKey, labels

ID_LABEL = "nomad.alloc"
ACCOUNT_LABELS = ("service-account", "mesh-service-account")
"""Meta keys by which an operator names the account in a registration; all meta are labels."""

_OWN = "nomad."

Place = tuple[str, ServiceKey]
"""A service as one platform tells it."""


@attrs.define
class Roster:
    """The workloads that were told, by platform, and where endpoints of each are.

    A workload that is gone is remembered as it was last known while an endpoint says that it is of it: a scheduler that
    forgets has not said that the instance is well, nor that it is not; its registry decides when it goes.
    """

    _told: dict[str, dict[str, Workload]] = attrs.field(factory=dict)
    _places: dict[str, set[Place]] = attrs.field(factory=dict)
    _gone: set[tuple[str, str]] = attrs.field(factory=set)

    def take(self, platform: str, event: Workloads) -> frozenset[Place]:
        """Take an event in; the services with endpoints that it concerns."""
        told = self._told.setdefault(platform, {})
        changed = [each for each in event.told if told.get(each.id) != each]
        for each in changed:
            told[each.id] = each
        self._gone.difference_update((platform, each.id) for each in event.told)
        for gone in event.gone:
            if gone in self._places:
                self._gone.add((platform, gone))
            else:
                told.pop(gone, None)
        return self._of(each.id for each in changed)

    def forget(self, platform: str) -> frozenset[Place]:
        """The platform is not there any more; the services with endpoints that this concerns."""
        self._gone = {each for each in self._gone if each[0] != platform}
        return self._of(self._told.pop(platform, {}))

    def moved(self, platform: str, key: ServiceKey, before: Service | None, after: Service | None) -> None:
        """A platform tells a service otherwise than before: keep where the endpoints of each workload are."""
        old, new = _ids(before), _ids(after)
        for each in new - old:
            self._places.setdefault(each, set()).add((platform, key))
        for each in old - new:
            self._left(each, (platform, key))

    def joined(self, service: Service, platform: str) -> Service:
        """The service, of this platform, with what the others told; the same object if they told nothing of it."""
        others = [told for name, told in self._told.items() if name != platform and told]
        if not others:
            return service
        endpoints = tuple(_joined(endpoint, others) for endpoint in service.endpoints)
        if all(new is old for new, old in zip(endpoints, service.endpoints, strict=True)):
            return service
        return attrs.evolve(service, endpoints=endpoints)

    def _of(self, ids: Iterable[str]) -> frozenset[Place]:
        return frozenset(place for each in ids for place in self._places.get(each, ()))

    def _left(self, workload: str, place: Place) -> None:
        places = self._places[workload]
        places.discard(place)
        if places:
            return
        del self._places[workload]
        for platform in self._told:
            if (platform, workload) in self._gone:
                self._gone.discard((platform, workload))
                self._told[platform].pop(workload, None)


def _ids(service: Service | None) -> set[str]:
    return set(_named(service.endpoints)) if service else set()


def _named(endpoints: Iterable[Endpoint]) -> Iterator[str]:
    for endpoint in endpoints:
        for key, value in endpoint.labels:
            if key == ID_LABEL:
                yield value


def _joined(endpoint: Endpoint, others: Iterable[dict[str, Workload]]) -> Endpoint:
    """The endpoint with what is told of its workload, if anything is."""
    for workload in _named((endpoint,)):
        for told in others:
            if workload in told:
                return _laid_over(endpoint, told[workload])
    return endpoint


def _laid_over(endpoint: Endpoint, workload: Workload) -> Endpoint:
    """What operators registered wins, but for the labels under the scheduler's own name."""
    said, known = dict(endpoint.labels), dict(workload.labels)
    own = {key: value for key, value in known.items() if key.startswith(_OWN)}
    named = any(said.get(key) for key in ACCOUNT_LABELS)
    found = attrs.evolve(
        endpoint,
        labels=labels({**known, **said, **own}),
        health=Health.DRAINING if workload.leaving else endpoint.health,
        service_account=endpoint.service_account if named else workload.service_account or endpoint.service_account,
    )
    return endpoint if found == endpoint else found
