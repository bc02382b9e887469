"""The steps of a root rotation as `mesh-adapter cert rotate` takes them, whatever authority it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Protocol

import attrs
import click

from citadel.authority import AuthorityError
from citadel.ca_store import CaStore
from citadel.embedded import EmbeddedAuthority
from citadel.rotation import State, Step
from citadel.vault_setup import Layout, VaultSetup
from mesh_adapter import authorities
from mesh_adapter.authorities import AuthorityOptions


class RootRotation(Protocol):
    """`begin` makes and spreads a new root unless a rotation is under way, `advance` takes a step that is due."""

    def begin(self) -> State: ...

    def advance(self) -> State: ...

    def state(self) -> State: ...

    def due(self) -> datetime | None: ...


@attrs.frozen
class _OfEmbedded:
    store: CaStore
    spread: timedelta

    def begin(self) -> State:
        return self.store.begin(_now())

    def advance(self) -> State:
        return self.store.advance(self.spread, _now())

    def state(self) -> State:
        return self.store.load()

    def due(self) -> datetime | None:
        return self.store.due(self.store.load(), self.spread)


@attrs.frozen
class _OfVault:
    setup: VaultSetup
    spread: timedelta

    def begin(self) -> State:
        return self.setup.begin()

    def advance(self) -> State:
        return self.setup.advance(self.spread, _now())

    def state(self) -> State:
        return self.setup.state()

    def due(self) -> datetime | None:
        return self.setup.due(self.spread)


@contextlib.contextmanager
def vault_setup(ca: AuthorityOptions, layout: Layout) -> Iterator[VaultSetup]:
    """Logged in; what goes wrong is exit status 1."""
    client = ca.vault.client()
    try:
        client.log_in(_now())
        yield VaultSetup(client, layout)
    except AuthorityError as error:
        raise click.ClickException(str(error)) from None
    finally:
        client.close()


@contextlib.contextmanager
def rotator(ca: AuthorityOptions) -> Iterator[RootRotation]:
    """Of the authority that the options name; what goes wrong is exit status 1."""
    if ca.chosen == "vault":
        with vault_setup(ca, Layout(ca.trust_domain, ca.vault.mount, ca.vault.role)) as setup:
            yield _OfVault(setup, ca.spread)
        return
    authority = authorities.make(ca)
    if not isinstance(authority, EmbeddedAuthority):
        raise click.UsageError(f"the authority {ca.chosen} rotates its roots by its own means")
    if authority.plugged_in:
        raise click.ClickException(
            f"the CA in {ca.folder} is yours: replace its files. First root-cert.pem by the old root and the new one; "
            "when all workloads have both, the other three files; when the last leaf is over, the old root goes"
        )
    try:
        authority.store.open(_now())
        yield _OfEmbedded(authority.store, ca.spread)
    except AuthorityError as error:
        raise click.ClickException(str(error)) from None


def told(state: State, due: datetime | None) -> str:
    """A line about where the rotation is."""
    at = f"{due:%Y-%m-%d %H:%M:%S} UTC" if due else ""
    match state.step:
        case Step.STABLE:
            return f"stable: {state.active} signs, and no other root is trusted"
        case Step.SPREADING:
            return f"spreading: {state.active} signs, {state.other} is trusted too and signs from {at}"
        case Step.DRAINING:
            return f"draining: {state.active} signs, {state.other} stays trusted until {at}"


def _now() -> datetime:
    return datetime.now(UTC)
