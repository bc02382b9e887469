"""Makes a Vault that works for the mesh: mounts, root, intermediate, role and policy. For an operator with rights.

`cert init-vault` runs it, `cert rotate` takes the steps of a root rotation by it. Each part is made only if it is not
there, so running it again mends what is missing and changes no certificate. The control plane itself gets the policy
`policy` and nothing more: it can have leaves signed and see issuers, and can't make, change or delete any.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import attrs
from cryptography import x509

from citadel import rotation, vault_issuers
from citadel.authority import AuthorityError
from citadel.identity import SpiffeId
from citadel.rotation import State, Step
from citadel.vault_client import VaultClient, read_issuers
from citadel.vault_issuers import Issuers

POLICY = "mesh-adapter"
ROOT_LIFE = timedelta(days=3650)
INTERMEDIATE_LIFE = timedelta(days=365)
SERVER_NAMES = ("mesh-adapter", "istiod.istio-system.svc", "localhost")
"""DNS names that the control plane's own certificate may hold."""
_EC = {"key_type": "ec", "key_bits": 256}


@attrs.frozen
class Layout:
    """What is where. `max_ttl` is the longest life of a leaf."""

    trust_domain: str
    mount: str
    role: str
    max_ttl: timedelta = timedelta(hours=24)
    root_life: timedelta = ROOT_LIFE
    intermediate_life: timedelta = INTERMEDIATE_LIFE
    server_names: tuple[str, ...] = SERVER_NAMES

    @property
    def root_mount(self) -> str:
        return f"{self.mount}-root"


def policy(layout: Layout) -> str:
    """What the control plane's token has to permit, as Vault reads it."""
    return f"""# mesh-adapter: has leaves of the mesh signed by the role {layout.role}, and sees who signs.
path "{layout.mount}/issuer/+/sign/{layout.role}" {{
  capabilities = ["update"]
}}
path "{layout.mount}/issuer/+" {{
  capabilities = ["read"]
}}
path "{layout.mount}/issuers" {{
  capabilities = ["list"]
}}
path "{layout.mount}/config/issuers" {{
  capabilities = ["read"]
}}
path "{layout.mount}/roles/{layout.role}" {{
  capabilities = ["read"]
}}
path "auth/token/lookup-self" {{
  capabilities = ["read"]
}}
path "auth/token/renew-self" {{
  capabilities = ["update"]
}}
"""


class VaultSetup:
    """`client` has logged in with an operator's token. Methods block, and raise AuthorityError."""

    def __init__(self, client: VaultClient, layout: Layout) -> None:
        self._client = client
        self._layout = layout

    def run(self) -> tuple[str, ...]:
        """Makes what is missing; what it did, one line each."""
        layout, done = self._layout, []
        for mount in (layout.root_mount, layout.mount):
            if f"{mount}/" not in self._mounts():
                self._client.write(
                    f"sys/mounts/{mount}", {"type": "pki", "config": {"max_lease_ttl": _seconds(ROOT_LIFE)}}
                )
                done.append(f"PKI engine {mount}")
        self._refuse_foreign()
        if not self._client.list(f"{layout.root_mount}/issuers"):
            self._make_root(1)
            done.append(f"root of {layout.trust_domain} in {layout.root_mount}")
        if not self._default():
            self._make_intermediate(self._only_root())
            done.append(f"intermediate in {layout.mount}")
        self._write_role()
        done.append(f"role {layout.role}")
        self._client.write(f"sys/policies/acl/{POLICY}", {"policy": policy(layout)})
        done.append(f"policy {POLICY}")
        return tuple(done)

    def approle(self) -> tuple[str, str]:
        """A role of AppRole with the policy: its role id, and a new secret id."""
        if "approle/" not in self._client.read("sys/auth"):
            self._client.write("sys/auth/approle", {"type": "approle"})
        path = f"auth/approle/role/{POLICY}"
        self._client.write(path, {"token_policies": [POLICY], "token_ttl": "1h", "token_max_ttl": "24h"})
        role_id = self._client.read(f"{path}/role-id")["role_id"]
        return str(role_id), str(self._client.write(f"{path}/secret-id", {})["secret_id"])

    def state(self) -> State:
        return vault_issuers.state(self._issuers())

    def due(self, spread: timedelta) -> datetime | None:
        """When the next step may be taken."""
        state = self.state()
        return rotation.due(state, spread, state.since + self._longest_leaf())

    def begin(self) -> State:
        """Makes the next root and has it trusted; the same state while a rotation is under way.

        A root that a rotation made and died before importing was never trusted, and when it would be is unknown: it is
        made anew, so that its date tells since when workloads could learn of it.
        """
        state = self.state()
        if state.step is not Step.STABLE:
            return state
        roots = self._issuers().roots
        trusted = {each.certificate for each in roots}
        for issuer in self._client.list(f"{self._layout.root_mount}/issuers"):
            if self._certificate(self._layout.root_mount, issuer) not in trusted:
                self._client.delete(f"{self._layout.root_mount}/issuer/{issuer}")
        certificate = self._make_root(roots[-1].generation + 1)
        self._client.write(f"{self._layout.mount}/issuers/import/cert", {"pem_bundle": certificate})
        return self.state()

    def advance(self, spread: timedelta, now: datetime) -> State:
        """Takes the step that is due, if one is."""
        state, at = self.state(), self.due(spread)
        if at is None or now < at:
            return state
        if state.step is Step.SPREADING:
            self._switch(state.other)
        else:
            self._withdraw(state.other)
        return self.state()

    def _switch(self, root_id: str) -> None:
        """A new intermediate below the new root, at the moment it begins to sign: its date is that of the switch."""
        issuers = self._issuers()
        root = issuers.by_id[root_id]
        for stale in [
            e for e in issuers.by_id.values() if e.has_key and vault_issuers.signed_by(e.certificate, root.certificate)
        ]:
            if not stale.is_root:
                self._client.delete(f"{self._layout.mount}/issuer/{stale.id}")
        self._make_intermediate(root.certificate)

    def _withdraw(self, root_id: str) -> None:
        """The old root's intermediates first, then the root: what is left after a crash is still a draining state."""
        issuers, mount = self._issuers(), self._layout.mount
        root = issuers.by_id[root_id]
        for each in issuers.by_id.values():
            if (
                not each.is_root
                and each.id != issuers.default
                and vault_issuers.signed_by(each.certificate, root.certificate)
            ):
                self._client.delete(f"{mount}/issuer/{each.id}")
        for issuer in self._client.list(f"{self._layout.root_mount}/issuers"):
            if self._certificate(self._layout.root_mount, issuer) == root.certificate:
                self._client.delete(f"{self._layout.root_mount}/issuer/{issuer}")
        self._client.delete(f"{mount}/issuer/{root_id}")

    def _make_root(self, generation: int) -> str:
        layout = self._layout
        body = {
            "common_name": vault_issuers.root_name(layout.trust_domain, generation),
            "uri_sans": str(SpiffeId(layout.trust_domain)),
            "exclude_cn_from_sans": True,
            "ttl": _seconds(layout.root_life),
            **_EC,
        }
        return str(self._client.write(f"{layout.root_mount}/root/generate/internal", body)["certificate"])

    def _make_intermediate(self, root: x509.Certificate) -> None:
        """A key in the signing mount, certified by the root, imported with it and made the default."""
        layout, client = self._layout, self._client
        name = f"{layout.trust_domain} intermediate {uuid.uuid4().hex[:8]}"
        common = {"common_name": name, "exclude_cn_from_sans": True}
        csr = client.write(f"{layout.mount}/issuers/generate/intermediate/internal", {**common, **_EC})["csr"]
        above = self._issuer_of(layout.root_mount, root)
        wanted = {**common, "csr": csr, "ttl": _seconds(layout.intermediate_life), "max_path_length": 0}
        signed = client.write(f"{layout.root_mount}/issuer/{above}/sign-intermediate", wanted)
        bundle = f"{signed['certificate']}\n{signed['issuing_ca']}"
        client.write(f"{layout.mount}/intermediate/set-signed", {"certificate": bundle})
        made = self._issuer_of(layout.mount, x509.load_pem_x509_certificate(signed["certificate"].encode()))
        client.write(f"{layout.mount}/issuer/{made}", {"leaf_not_after_behavior": "truncate"})
        client.write(f"{layout.mount}/config/issuers", {"default": made})

    def _write_role(self) -> None:
        layout = self._layout
        self._client.write(
            f"{layout.mount}/roles/{layout.role}",
            {
                "allowed_uri_sans": f"{SpiffeId(layout.trust_domain)}/*",
                "allowed_domains": ",".join(layout.server_names),
                "allow_bare_domains": True,
                "allow_subdomains": False,
                "allow_any_name": False,
                "allow_localhost": True,
                "allow_ip_sans": True,
                "require_cn": False,
                "use_csr_common_name": False,
                "use_csr_sans": False,
                "key_type": "any",
                "key_usage": "DigitalSignature",
                "server_flag": True,
                "client_flag": True,
                "basic_constraints_valid_for_non_ca": True,
                "not_before_duration": "300s",
                "no_store": True,
                "generate_lease": False,
                "ttl": _seconds(layout.max_ttl),
                "max_ttl": _seconds(layout.max_ttl),
            },
        )

    def _refuse_foreign(self) -> None:
        """A role for another trust domain is another mesh's, and is not rewritten."""
        path = f"{self._layout.mount}/roles/{self._layout.role}"
        if not self._client.exists(path):
            return
        found = self._client.read(path).get("allowed_uri_sans") or []
        wanted = f"{SpiffeId(self._layout.trust_domain)}/*"
        if found and wanted not in found:
            raise AuthorityError(
                f"{path} in Vault is for {', '.join(found)}, not for {wanted}: give that --trust-domain, or another "
                "--vault-mount"
            )

    def _longest_leaf(self) -> timedelta:
        return vault_issuers.longest_leaf(self._client.read(f"{self._layout.mount}/roles/{self._layout.role}"))

    def _mounts(self) -> Iterable[str]:
        return self._client.read("sys/mounts")

    def _default(self) -> str:
        if not self._client.list(f"{self._layout.mount}/issuers"):
            return ""
        return str(self._client.read(f"{self._layout.mount}/config/issuers").get("default") or "")

    def _only_root(self) -> x509.Certificate:
        default = self._client.read(f"{self._layout.root_mount}/config/issuers")["default"]
        return self._certificate(self._layout.root_mount, str(default))

    def _issuer_of(self, mount: str, certificate: x509.Certificate) -> str:
        for issuer in self._client.list(f"{mount}/issuers"):
            if self._certificate(mount, issuer) == certificate:
                return issuer
        raise AuthorityError(f"Vault's mount {mount} does not hold {certificate.subject.rfc4514_string()!r}")

    def _certificate(self, mount: str, issuer: str) -> x509.Certificate:
        found: dict[str, Any] = self._client.read(f"{mount}/issuer/{issuer}")
        return x509.load_pem_x509_certificate(str(found["certificate"]).encode())

    def _issuers(self) -> Issuers:
        return read_issuers(self._client, self._layout.mount)


def _seconds(life: timedelta) -> str:
    return f"{round(life.total_seconds())}s"
