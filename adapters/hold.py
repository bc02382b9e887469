"""When a loss of instances is not believed, and until when. Pure; the rule is stated in docs/reference/consul.md.

Called by the states of registries, `adapters.consul.datacenter` and `adapters.nomad.feed`. A registry that lost its
data, a follower that answers before it has caught up, and a token that sees less than before all look like an operator
who removed everything. An operator can wait.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import attrs

from adapters.instance import Instance

ANSWERS = 3
"""So many answers in a row have to say the same before a held loss counts."""
_RAREST = 60.0


def is_suspect(before: int, lost: int, after: int, armed: bool) -> bool:
    """Whether losing `lost` of `before` instances, with `after` left, is not believed.

    None left where there were some is suspect always. More than half lost is, if `armed`: the agent was away or its
    index went back before this answer, or the token began to see less.
    """
    return before > 0 and (after == 0 or (armed and lost * 2 > before))


@attrs.define
class Hold:
    """The instances that are kept though their registry does not list them, by the name of their service.

    `patience` is the number of seconds over which the answers have to stay the same; 0 switches holding off.
    """

    patience: float
    held: dict[str, dict[str, Instance]] = attrs.field(factory=dict)
    _since: float | None = None
    _answers: int = 0

    @property
    def active(self) -> bool:
        return bool(self.held)

    def begin(self, lost: Mapping[str, Iterable[Instance]], now: float) -> None:
        """Keep these; the clock starts again for all that is held."""
        for name, instances in lost.items():
            self.held.setdefault(name, {}).update((i.endpoint.instance, i) for i in instances)
        self.held = {name: instances for name, instances in self.held.items() if instances}
        self._since, self._answers = now, 1

    def returned(self, name: str, instances: Collection[Instance]) -> None:
        """Let go of what is listed again, by its identity or by its address and port under a new identity."""
        held = self.held.get(name)
        if held is None:
            return
        left = {i.endpoint.instance: i for i in missing(held.values(), instances)}
        if left:
            self.held[name] = left
        else:
            del self.held[name]

    def interrupted(self) -> None:
        """The registry was away or answered with an error: answers before that don't count."""
        self._since, self._answers = None, 0

    def answered(self, now: float) -> frozenset[str]:
        """The registry answered and still does not list them. Names whose instances are now let go; mostly none."""
        if self._since is None:
            self._since = now
        self._answers += 1
        if self._answers < ANSWERS or now - self._since < self.patience:
            return frozenset()
        names = frozenset(self.held)
        self.held.clear()
        return names

    def next_question(self, now: float) -> float:
        """When to ask again, so that enough answers are there when the patience ends."""
        return now + min(_RAREST, max(0.02, self.patience / ANSWERS))

    def reason(self) -> str:
        """For Stale; empty if nothing is held."""
        if not self.held:
            return ""
        count = sum(len(instances) for instances in self.held.values())
        return (
            f"suspect: {count} instances of {len(self.held)} services are no longer listed; they are kept until they "
            f"return or the answer stays like this for {self.patience:g} s"
        )


def missing(before: Iterable[Instance], after: Collection[Instance]) -> tuple[Instance, ...]:
    """Those of `before` that `after` no longer has, unless it has their address and port under another identity."""
    there = {instance.endpoint.instance for instance in after}
    taken = {(instance.endpoint.address, instance.port) for instance in after}
    return tuple(i for i in before if i.endpoint.instance not in there and (i.endpoint.address, i.port) not in taken)
