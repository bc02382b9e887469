"""The Vault authority against a real Vault: logins, tokens that end, what Vault refuses, sealing, and root rotation."""

from __future__ import annotations

import asyncio
import base64
import functools
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from citadel import identity
from citadel.authority import AuthorityError
from citadel.rotation import Step
from citadel.vault import VaultAuthority
from citadel.vault_client import Login, VaultClient
from citadel.vault_setup import Layout, VaultSetup
from mesh_adapter.cli import cli
from tests.servers.http import RefusedError
from tests.servers.vault import Vault
from tests.unit.citadel.requests import FORGED_NAMES, csr, ec_key

pytestmark = pytest.mark.integration
LAYOUT = Layout("cluster.local", "mesh-pki", "mesh-adapter")
WEB = identity.workload("cluster.local", "default", "web")
HOUR = timedelta(hours=1)
REQUEST = csr(ec_key())


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    with Vault(tmp_path_factory.mktemp("vault")) as found:
        yield found


@pytest.fixture
def vault(shared: Vault) -> Vault:
    """One Vault for all tests here, in which none of our things are."""
    if not shared.running:
        shared.start()
    if shared.call("GET", "/sys/seal-status", token="").json["sealed"]:
        shared.call("PUT", "/sys/unseal", {"key": unseal_key(shared)}, token="")
    for path in ("mounts/mesh-pki", "mounts/mesh-pki-root", "auth/approle", "auth/jwt", "policies/acl/mesh-adapter"):
        shared.call("DELETE", f"/sys/{path}")
    return shared


@pytest.fixture
def ready(vault: Vault) -> Vault:
    """A Vault that `init-vault` has set up."""
    with_setup(vault, lambda setup: setup.run())
    return vault


def with_setup(vault: Vault, work: Callable[[VaultSetup], Any], layout: Layout = LAYOUT) -> Any:
    client = VaultClient(vault.url, Login(token=vault.root_token))
    try:
        client.log_in(datetime.now(UTC))
        return work(VaultSetup(client, layout))
    finally:
        client.close()


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., VaultAuthority]]:
    made: list[VaultAuthority] = []

    def one(vault: Vault, login: Login | None = None, **options: Any) -> VaultAuthority:
        made.append(VaultAuthority(vault.url, login or Login(token=token(vault)), **options))
        return made[-1]

    yield one
    for each in made:
        await each.close()


Make = Callable[..., VaultAuthority]


def token(vault: Vault, **wishes: object) -> str:
    """A token with the control plane's policy and nothing else."""
    made = vault.write("/auth/token/create", {"policies": ["mesh-adapter"], "no_default_policy": True, **wishes})
    return str(made["auth"]["client_token"])


def run(vault: Vault, *arguments: str, secret: str = "") -> Result:
    environment = {"VAULT_ADDR": vault.url, "VAULT_TOKEN": secret or vault.root_token}
    return CliRunner(env=environment).invoke(cli, ["cert", *arguments])


# -- init-vault and issue, as an operator uses them


def test_init_vault_leaves_a_vault_that_issues(vault: Vault, tmp_path: Path) -> None:
    done = run(vault, "init-vault", "--vault-addr", vault.url, "--trust-domain", "example.org", "--approle")
    assert done.exit_code == 0, done.output
    ids = dict(line.split() for line in done.output.splitlines() if line.startswith(("role_id", "secret_id")))
    issued = CliRunner().invoke(
        cli,
        [
            *("cert", "issue", "--ca", "vault", "--vault-addr", vault.url, "--trust-domain", "example.org"),
            *("--vault-auth", "approle", "--vault-role-id", ids["role_id"], "--vault-secret-id", ids["secret_id"]),
            *("--namespace", "prod", "--service-account", "web", "--ttl", "10m", "--out", str(tmp_path)),
        ],
    )
    assert issued.exit_code == 0, issued.output
    leaf, above = x509.load_pem_x509_certificates((tmp_path / "cert-chain.pem").read_bytes())
    (root,) = x509.load_pem_x509_certificates((tmp_path / "root-cert.pem").read_bytes())
    above.verify_directly_issued_by(root)
    leaf.verify_directly_issued_by(above)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [each.value for each in names] == ["spiffe://example.org/ns/prod/sa/web"]


def test_init_vault_again_changes_no_certificate(ready: Vault) -> None:
    before = ready.call("LIST", "/mesh-pki/issuers").json["data"]["keys"]
    assert run(ready, "init-vault").exit_code == 0
    assert ready.call("LIST", "/mesh-pki/issuers").json["data"]["keys"] == before


def test_init_vault_mends_what_is_missing(ready: Vault) -> None:
    ready.call("DELETE", "/mesh-pki/roles/mesh-adapter")
    ready.call("DELETE", "/sys/policies/acl/mesh-adapter")
    assert run(ready, "init-vault").exit_code == 0
    assert ready.read("/mesh-pki/roles/mesh-adapter")["no_store"]


def test_init_vault_for_another_trust_domain_is_refused(ready: Vault) -> None:
    result = run(ready, "init-vault", "--trust-domain", "other")
    assert result.exit_code == 1
    assert "is for spiffe://cluster.local/*" in result.output
    assert "--vault-mount" in result.output


def test_the_policy_is_printed_for_who_applies_it_himself() -> None:
    result = CliRunner().invoke(cli, ["cert", "init-vault", "--print-policy"])
    assert result.exit_code == 0
    page = Path(__file__).parents[2] / "deploy" / "vault" / "mesh-adapter.hcl"
    assert result.output == page.read_text()


def test_status_says_who_signs(ready: Vault) -> None:
    result = run(ready, "status", secret=token(ready, ttl="1h"))
    assert result.exit_code == 0, result.output
    assert result.output.startswith("authority vault of trust domain cluster.local\nstable: ")
    found = json.loads(run(ready, "status", "-o", "json").output)
    assert [each["use"] for each in found["certificates"]] == ["signs", "trusted 1"]


# -- logging in


def jwt(key: ec.EllipticCurvePrivateKey, **claims: object) -> str:
    """ES256, as a platform signs it."""
    parts = [json.dumps(each).encode() for each in ({"alg": "ES256", "typ": "JWT"}, claims)]
    head = b".".join(base64.urlsafe_b64encode(each).rstrip(b"=") for each in parts)
    r, s = decode_dss_signature(key.sign(head, ec.ECDSA(hashes.SHA256())))
    return (head + b"." + base64.urlsafe_b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).rstrip(b"=")).decode()


def jwt_login(vault: Vault, folder: Path) -> Login:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    vault.write("/sys/auth/jwt", {"type": "jwt"})
    vault.write("/auth/jwt/config", {"jwt_validation_pubkeys": [public.decode()]})
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "token_policies": ["mesh-adapter"]}
    vault.write("/auth/jwt/role/mesh", role)
    now = int(datetime.now(UTC).timestamp())
    (folder / "jwt").write_text(jwt(key, sub="mesh-adapter", aud="vault", iat=now, exp=now + 600))
    return Login("jwt", role="mesh", jwt_file=str(folder / "jwt"))


def token_file_login(vault: Vault, folder: Path) -> Login:
    (folder / "token").write_text(token(vault) + "\n")
    return Login(token_file=str(folder / "token"))


def approle_login(vault: Vault, folder: Path) -> Login:
    role_id, secret_id = with_setup(vault, lambda setup: setup.approle())
    (folder / "secret").write_text(secret_id)
    return Login("approle", role_id=role_id, secret_id_file=str(folder / "secret"))


@pytest.mark.parametrize("by", [jwt_login, token_file_login, approle_login], ids=lambda each: each.__name__)
async def test_ways_to_log_in(ready: Vault, make: Make, tmp_path: Path, by: Callable[[Vault, Path], Login]) -> None:
    authority = make(ready, by(ready, tmp_path))
    await authority.start()
    assert (await authority.sign(REQUEST, WEB, HOUR)).chain


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--vault-token", "wrong"], "permission denied"),
        (["--vault-auth", "approle", "--vault-role-id", "x", "--vault-secret-id", "y"], "has nothing there to log in"),
        (["--vault-auth", "jwt", "--vault-auth-role", "x", "--vault-jwt-file", "/none"], "/none: No such file"),
    ],
    ids=["token", "approle", "jwt"],
)
def test_a_login_that_fails_is_exit_status_1(ready: Vault, options: list[str], reason: str) -> None:
    result = run(ready, "issue", "--service-account", "web", *options)
    assert result.exit_code == 1
    assert reason in result.output


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--vault-auth", "approle"], "--vault-role-id"),
        (["--vault-auth", "jwt"], "--vault-jwt-file"),
        (["--vault-auth", "kubernetes"], "--vault-auth-role"),
    ],
)
def test_a_login_that_is_not_whole_is_misuse(options: list[str], reason: str) -> None:
    environment = {"VAULT_ADDR": "http://127.0.0.1:1"}
    result = CliRunner(env=environment).invoke(cli, ["cert", "issue", "--service-account", "web", *options])
    assert result.exit_code == 2
    assert reason in result.output


# -- tokens that end (V9, V10)


@attrs.define
class Clock:
    """The real clock, moved."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


async def test_a_token_is_renewed_at_half_of_its_life(ready: Vault, make: Make) -> None:
    clock = Clock()
    secret = token(ready, ttl="30s", explicit_max_ttl="0", period="30s")
    authority = make(ready, Login(token=secret), clock=clock)
    await authority.start()
    first = authority.token_expires()
    await authority.refresh()
    assert authority.token_expires() == first
    clock.ahead = timedelta(seconds=16)
    await authority.refresh()
    renewed = authority.token_expires()
    assert first is not None
    assert renewed is not None
    assert renewed - first > timedelta(seconds=10)


async def test_a_token_that_can_t_be_renewed_is_followed_by_a_login(ready: Vault, make: Make, tmp_path: Path) -> None:
    clock = Clock()
    login = approle_login(ready, tmp_path)
    ready.write("/auth/approle/role/mesh-adapter", {"token_ttl": "20s", "token_type": "batch"})
    authority = make(ready, login, clock=clock)
    await authority.start()
    first = authority.client.secret
    clock.ahead = timedelta(seconds=11)
    await authority.refresh()
    assert authority.client.secret != first


async def test_a_token_revoked_in_flight_is_replaced_at_once(ready: Vault, make: Make, tmp_path: Path) -> None:
    authority = make(ready, approle_login(ready, tmp_path))
    await authority.start()
    first = authority.client.secret
    ready.write("/auth/token/revoke", {"token": first})
    assert (await authority.sign(REQUEST, WEB, HOUR)).chain
    assert authority.client.secret != first


async def test_permission_is_told_from_a_bad_token(ready: Vault, make: Make) -> None:
    authority = make(ready)
    await authority.start()
    first = authority.client.secret
    ready.write(
        "/sys/policies/acl/mesh-adapter", {"policy": 'path "auth/token/lookup-self" { capabilities = ["read"] }'}
    )
    with pytest.raises(
        AuthorityError, match=r"does not permit this token to write mesh-pki/issuer/.*init-vault --print-policy"
    ):
        await authority.sign(REQUEST, WEB, HOUR)
    assert authority.client.secret == first


# -- what a role does (V3, V11)


async def test_a_life_that_the_role_cuts_is_told_by_the_certificate(ready: Vault, make: Make) -> None:
    ready.write(
        "/mesh-pki/roles/mesh-adapter", {**ready.read("/mesh-pki/roles/mesh-adapter"), "max_ttl": 60, "ttl": 60}
    )
    authority = make(ready)
    await authority.start()
    issued = await authority.sign(REQUEST, WEB, HOUR)
    assert issued.not_after < datetime.now(UTC) + timedelta(seconds=61)


async def test_a_role_that_takes_names_from_requests_is_found_out(ready: Vault, make: Make) -> None:
    role = {**ready.read("/mesh-pki/roles/mesh-adapter"), "use_csr_sans": True, "use_csr_common_name": True}
    ready.write("/mesh-pki/roles/mesh-adapter", role)
    authority = make(ready)
    await authority.start()
    with pytest.raises(AuthorityError, match="makes certificates that are not the mesh's"):
        await authority.sign(csr(ec_key(), *FORGED_NAMES[0]), WEB, HOUR)


async def test_a_role_for_other_keys_refuses_with_vault_s_words(ready: Vault, make: Make) -> None:
    role = {**ready.read("/mesh-pki/roles/mesh-adapter"), "key_type": "rsa", "key_bits": 2048}
    ready.write("/mesh-pki/roles/mesh-adapter", role)
    authority = make(ready)
    await authority.start()
    with pytest.raises(AuthorityError, match=r"(?i)refuses to .*rsa") as caught:
        await authority.sign(REQUEST, WEB, HOUR)
    assert not caught.value.retry


async def test_an_identity_that_the_role_does_not_allow_is_refused(ready: Vault, make: Make) -> None:
    authority = make(ready)
    await authority.start()
    with pytest.raises(AuthorityError, match="refuses"):
        await authority.sign(REQUEST, identity.workload("foreign", "default", "web"), HOUR)


async def test_nothing_is_stored_for_a_leaf(ready: Vault, make: Make) -> None:
    """V4, V5: no certificate, no lease."""
    authority = make(ready)
    await authority.start()
    assert (await authority.sign(REQUEST, WEB, HOUR)).chain
    with pytest.raises(RefusedError, match="404"):
        ready.call("LIST", "/mesh-pki/certs")
    with pytest.raises(RefusedError, match="404"):
        ready.call("LIST", "/sys/leases/lookup/mesh-pki")


# -- away


async def test_sealed_in_mid_flight_and_back(ready: Vault, make: Make) -> None:
    authority = make(ready)
    await authority.start()
    roots = authority.roots()
    ready.write("/sys/seal", {})
    with pytest.raises(AuthorityError, match="sealed") as caught:
        await authority.sign(REQUEST, WEB, HOUR)
    assert caught.value.retry
    with pytest.raises(AuthorityError, match="sealed"):
        await authority.refresh()
    assert authority.roots() == roots, "what is trusted stays"
    assert await asyncio.to_thread(authority.client.health) == "sealed: run vault operator unseal"
    ready.call("PUT", "/sys/unseal", {"key": unseal_key(ready)}, token="")
    assert (await authority.sign(REQUEST, WEB, HOUR)).chain


def unseal_key(vault: Vault) -> str:
    """A Vault in development mode prints it."""
    (line,) = [each for each in vault.process.log.read_text().splitlines() if each.startswith("Unseal Key:")]
    return line.split()[-1]


async def test_sealed_at_the_start_and_unsealed_later(ready: Vault, make: Make) -> None:
    authority = make(ready)
    ready.write("/sys/seal", {})
    await authority.start()
    assert authority.signing() is None
    ready.call("PUT", "/sys/unseal", {"key": unseal_key(ready)}, token="")
    assert (await authority.sign(REQUEST, WEB, HOUR)).chain
    assert len(authority.roots()) == 1


async def test_gone_altogether(ready: Vault, make: Make) -> None:
    authority = make(ready)
    await authority.start()
    ready.stop()
    with pytest.raises(AuthorityError, match="can't be reached") as caught:
        await authority.sign(REQUEST, WEB, HOUR)
    assert caught.value.retry


async def test_a_mount_that_is_not_there_is_named(vault: Vault, make: Make) -> None:
    authority = make(vault, Login(token=vault.root_token))
    with pytest.raises(AuthorityError, match="mesh-pki/config/issuers"):
        await authority.start()


# -- rotation


def test_a_rotation_step_by_step(ready: Vault, make: Make) -> None:
    """Each step asked for by a new process; the running control plane sees it at its next look."""
    spread, now = timedelta(minutes=10), datetime.now(UTC)
    stable = with_setup(ready, lambda s: s.state())
    assert stable.step is Step.STABLE
    begun = with_setup(ready, lambda s: s.begin())
    assert (begun.step, begun.active) == (Step.SPREADING, stable.active)
    assert with_setup(ready, lambda s: s.begin()) == begun, "asked twice, begun once"
    assert with_setup(ready, lambda s: s.advance(spread, now + timedelta(minutes=5))) == begun
    switched = with_setup(ready, lambda s: s.advance(spread, now + timedelta(minutes=11)))
    assert (switched.step, switched.active, switched.other) == (Step.DRAINING, begun.other, begun.active)
    assert with_setup(ready, lambda s: s.advance(spread, now + timedelta(hours=23))) == switched
    done = with_setup(ready, lambda s: s.advance(spread, now + timedelta(hours=25)))
    assert (done.step, done.active, done.trusted) == (Step.STABLE, begun.other, (begun.other,))
    assert len(ready.call("LIST", "/mesh-pki/issuers").json["data"]["keys"]) == 2
    assert len(ready.call("LIST", "/mesh-pki-root/issuers").json["data"]["keys"]) == 1


async def test_a_running_control_plane_follows_a_rotation(ready: Vault, make: Make) -> None:
    spread, now = timedelta(minutes=10), datetime.now(UTC)
    authority = make(ready)
    await authority.start()
    (old,) = authority.roots()
    await asyncio.to_thread(with_setup, ready, lambda s: s.begin())
    await authority.refresh()
    assert authority.roots()[0] == old
    (new,) = set(authority.roots()) - {old}
    signing = authority.signing()
    assert signing is not None
    assert signing.chain[-1] == old
    assert (await authority.sign(REQUEST, WEB, HOUR)).chain[1] == signing.chain[0]
    await asyncio.to_thread(with_setup, ready, lambda s: s.advance(spread, now + timedelta(minutes=11)))
    await authority.refresh()
    issued = await authority.sign(REQUEST, WEB, HOUR)
    issued.chain[1].verify_directly_issued_by(new)
    assert set(authority.roots()) == {old, new}


class DiedError(Exception):
    """In place of the request that a killed process no longer made."""


class Dying(VaultClient):
    """A client whose process is killed before its nth change of Vault."""

    left = 0

    def write(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        self._count()
        return super().write(path, body)

    def delete(self, path: str) -> None:
        self._count()
        super().delete(path)

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise DiedError


def test_killed_before_any_change_it_resumes(ready: Vault) -> None:
    """A rotation is begun over and over, each time dying one change later, and always finished by another process."""
    spread = timedelta(minutes=10)
    died = True
    changes = 0
    while died:
        client = Dying(ready.url, Login(token=ready.root_token))
        client.log_in(datetime.now(UTC))
        client.left = changes
        died = False
        setup = VaultSetup(client, LAYOUT)
        before = setup.state()
        try:
            rotate(setup, before.active, spread)
        except DiedError:
            died = True
        client.close()
        if died:
            with_setup(ready, functools.partial(rotate, old=before.active, spread=spread))
        final = with_setup(ready, lambda s: s.state())
        assert final.step is Step.STABLE
        assert final.active != before.active
        changes += 1
    assert changes > 8


def rotate(setup: VaultSetup, old: str, spread: timedelta) -> None:
    """Whatever is left of replacing the root `old`."""
    now = datetime.now(UTC)
    if setup.state().active == old:
        setup.begin()
        assert setup.state().trusted[0] == old
    setup.advance(spread, now + timedelta(hours=1))
    setup.advance(spread, now + timedelta(hours=26))


def test_the_command_rotates(ready: Vault) -> None:
    first = run(ready, "rotate")
    assert first.exit_code == 0, first.output
    assert first.output.startswith("spreading: ")
    again = run(ready, "rotate", "--resume", "--ca-root-spread", "1ms")
    assert again.output.startswith("draining: "), again.output
    assert run(ready, "status").output.splitlines()[1].startswith("draining: ")
