"""What `mesh-adapter cert status` says of an authority."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import click
import yaml
from cryptography import x509

from citadel import rotation, vault_issuers
from citadel.authority import Authority, AuthorityError
from citadel.embedded import EmbeddedAuthority
from citadel.rotation import State
from citadel.vault import VaultAuthority
from citadel.vault_client import read_issuers
from mesh_adapter.authorities import AuthorityOptions
from mesh_adapter.root_rotation import told
from mesh_adapter.table import table


async def describe(authority: Authority, ca: AuthorityOptions) -> dict[str, Any]:
    """The facts, for people and programs. AuthorityError if the authority can't sign."""
    now = datetime.now(UTC)
    signing = authority.signing()
    if signing is None:
        raise AuthorityError(await _why_not(authority))
    state, due = await _rotation(authority, ca)
    found = {"signs": signing.chain[0], **{f"trusted {i}": root for i, root in enumerate(authority.roots(), 1)}}
    return {
        "authority": ca.chosen,
        "trustDomain": ca.trust_domain,
        "step": state.step.value if state else "",
        "active": state.active if state else "",
        "other": state.other if state else "",
        "since": state.since.isoformat() if state else "",
        "nextStepAt": due.isoformat() if due else "",
        "certificates": [_certificate(use, each, now) for use, each in found.items()],
        **_token(authority),
    }


def tell_status(found: dict[str, Any], output: str) -> None:
    if output == "json":
        click.echo(json.dumps(found, indent=2))
    elif output == "yaml":
        click.echo(yaml.safe_dump(found, sort_keys=False), nl=False)
    else:
        click.echo(f"authority {found['authority']} of trust domain {found['trustDomain']}")
        if found["step"]:
            state = State(
                found["active"], datetime.fromisoformat(found["since"]), rotation.Step(found["step"]), found["other"]
            )
            click.echo(told(state, datetime.fromisoformat(found["nextStepAt"]) if found["nextStepAt"] else None))
        else:
            click.echo("your own CA files: replace them to rotate")
        if found.get("tokenExpires"):
            click.echo(
                f"the Vault token lives until {found['tokenExpires'][:19]} UTC, and is renewed at half of its life"
            )
        rows = [
            [each["use"], each["subject"], each["notAfter"][:19], f"{each['alarm']}%" if each["alarm"] else "ok"]
            for each in found["certificates"]
        ]
        click.echo(table(["USE", "SUBJECT", "NOT AFTER", "OF ITS LIFE"], rows))


async def _rotation(authority: Authority, ca: AuthorityOptions) -> tuple[State | None, datetime | None]:
    if isinstance(authority, EmbeddedAuthority):
        state = authority.state()
        return state, authority.store.due(state, ca.spread) if state else None
    if isinstance(authority, VaultAuthority):
        issuers = await asyncio.to_thread(read_issuers, authority.client, authority.mount)
        state = vault_issuers.state(issuers)
        role = await asyncio.to_thread(authority.client.read, authority.role_path)
        return state, rotation.due(state, ca.spread, state.since + vault_issuers.longest_leaf(role))
    return None, None


async def _why_not(authority: Authority) -> str:
    if isinstance(authority, VaultAuthority):
        return f"Vault at {authority.client.addr} is {await asyncio.to_thread(authority.client.health)}"
    return "the authority can't sign"


def _token(authority: Authority) -> dict[str, str]:
    expires = authority.token_expires() if isinstance(authority, VaultAuthority) else None
    return {"tokenExpires": expires.isoformat()} if expires else {}


def _certificate(use: str, certificate: x509.Certificate, now: datetime) -> dict[str, Any]:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return {
        "use": use,
        "subject": certificate.subject.rfc4514_string(),
        "notBefore": begins.isoformat(),
        "notAfter": ends.isoformat(),
        "alarm": rotation.alarm(begins, ends, now),
    }
