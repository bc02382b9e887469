"""A change that an EnvoyFilter makes to what a proxy is told: picked for a view by planning, done by `pilot.envoy`."""

from __future__ import annotations

import attrs

from galley.kinds.envoy_filter import EnvoyConfigObjectMatch, EnvoyConfigObjectPatch, Operation, PatchContext

_ANYWHERE = EnvoyConfigObjectMatch()


@attrs.frozen(cache_hash=True)
class Patch:
    """`source` names the object it stands in, `EnvoyFilter default/lua`, and `place` where it does in that."""

    source: str
    place: str
    spec: EnvoyConfigObjectPatch

    @property
    def match(self) -> EnvoyConfigObjectMatch:
        return self.spec.match or _ANYWHERE

    @property
    def operation(self) -> Operation:
        return self.spec.patch.operation if self.spec.patch else Operation.INVALID

    def is_for(self, context: PatchContext) -> bool:
        return self.match.context in (PatchContext.ANY, context)
