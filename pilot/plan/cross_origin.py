"""Decides what browsers may do across origins on a route. Pure."""

from __future__ import annotations

from galley.kinds import virtual_service as kind
from pilot import ir
from pilot.plan.http_match import string_match


def cors(policy: kind.CorsPolicy | None) -> ir.Cors | None:
    """Istio 1.1's `allowOrigin` are exact origins, or `*` for all; `allowOrigins` replaces it."""
    if policy is None:
        return None
    older = tuple(ir.StringMatch(ir.MatchKind.EXACT, origin) for origin in policy.allow_origin)
    return ir.Cors(
        allow_origins=tuple(map(string_match, policy.allow_origins)) or older,
        allow_methods=",".join(policy.allow_methods),
        allow_headers=",".join(policy.allow_headers),
        expose_headers=",".join(policy.expose_headers),
        max_age=str(int(policy.max_age.total_seconds())) if policy.max_age is not None else "",
        allow_credentials=policy.allow_credentials,
        forward_unmatched_preflights=policy.unmatched_preflights is not kind.UnmatchedPreflights.IGNORE,
    )
