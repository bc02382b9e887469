"""The secure side of the control plane, put together: authority, attestors, secure port, CSR service, admission to xDS.

`start` makes one `Security` where a CA was asked for. Without one there is only the plaintext port.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import click
import grpc
from cryptography import x509
from prometheus_client import CollectorRegistry

from citadel import federation, identity, profile
from citadel.attest import Attestor, AttestorAwayError, attestor_class
from citadel.bundle_endpoint import BundleEndpoint, WebCertificate
from citadel.bundle_service import bundle_service
from citadel.callers import Caller, CallerError, Callers, Peer
from citadel.csr_service import csr_service
from citadel.federation import Federated, Federation, FederationError
from citadel.identity import TrustDomains
from citadel.issuing import DEFAULT_TTL, MAX_TTL, Issuing, Ttls
from citadel.jwt_key import JwtKey, JwtKeyError
from citadel.own_certificate import OwnCertificate
from citadel.profile import PrivateKey
from citadel.secure_port import SecurePort
from citadel.trust import Trust
from citadel.vault_setup import SERVER_NAMES
from mesh_adapter import authorities
from mesh_adapter.authorities import AuthorityOptions
from pilot.xds.access import Admitted, StreamError

log = logging.getLogger(__name__)

JWT_KEYS_EVERY = 5.0
NAMESPACE, ACCOUNT = "istio-system", "mesh-adapter"
"""The control plane's own identity."""


@attrs.frozen
class SecurityOptions:
    """`attest` are specifications `KIND,option=value,…`; `names` are further names of the secure port's certificate."""

    ca: AuthorityOptions
    address: str
    aliases: tuple[str, ...] = ()
    attest: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    ttl: timedelta = DEFAULT_TTL
    max_ttl: timedelta = MAX_TTL
    jwt_key_file: str = ""
    federate: tuple[str, ...] = ()
    bundle_endpoint: str = ""
    bundle_endpoint_cert: str = ""
    bundle_endpoint_key: str = ""


class Security:
    """Made in the event loop that runs it."""

    def __init__(self, options: SecurityOptions, registry: CollectorRegistry) -> None:
        self._options = options
        self._host, self._port = _split(options.address)
        self.domains = TrustDomains.of(options.ca.trust_domain, options.aliases)
        ttls = Ttls(min(options.ttl, options.max_ttl), options.max_ttl)
        self.issuing = Issuing(authorities.make(options.ca), self.domains, registry=registry, ttls=ttls)
        self._attestors = attestors(options.attest)
        failed = "citadel_server_authentication_failure_count"
        self.callers = Callers(self.domains, self._attestors, lambda: self.issuing.count(failed))
        self.port = SecurePort(self.domains)
        own = identity.workload(self.domains.own, NAMESPACE, ACCOUNT)
        self._own = OwnCertificate(self.issuing, own, self._names(), self._present)
        self._jwt_key = JwtKey(Path(options.jwt_key_file or options.ca.folder / "jwt-key.pem"))
        self.trust = Trust(self.issuing, self._jwt_key)
        self._jwt_keys: asyncio.Task[None] | None = None
        self._federation = Federation(
            _federated(options.federate, self.domains), self.trust, options.ca.folder / "federation"
        )
        self._endpoint = _endpoint(options, self.trust)
        self.services = (
            csr_service(self.issuing, self.identify),
            bundle_service(self.trust, self._jwt_key, self.identify),
        )

    async def start(self) -> None:
        """AuthorityError, AttestorAwayError or ValueError for what will not work as it is configured."""
        for name, each in self._attestors.items():
            try:
                await each.check()
            except (AttestorAwayError, ValueError) as error:
                raise click.ClickException(f"--attest {name}: {error}") from None
        await self.issuing.start()
        self.issuing.on_roots(lambda: self.port.trust(self.issuing.roots()))
        self.port.trust(self.issuing.roots())
        try:
            self._jwt_key.load()
        except (JwtKeyError, OSError) as error:
            raise click.ClickException(f"--jwt-key-file: {error}") from None
        self._jwt_keys = asyncio.get_running_loop().create_task(self._follow_jwt_keys())
        try:
            await self._federation.start()
        except FederationError as error:
            raise click.ClickException(f"--federate: {error}") from None
        await self._own.start()

    @property
    def can_listen(self) -> bool:
        """Whether there is a certificate for the port; `listen` waits until then."""
        return self._own.issued.is_set()

    async def listen(self) -> int:
        """Opens the port, once there is a certificate for it; the gRPC server must listen behind it by now."""
        await self._own.issued.wait()
        try:
            return await self.port.start(self._host, self._port)
        except OSError as error:
            raise OSError(
                f"cannot listen on {self._options.address} for xDS over TLS: {error.strerror or error}; stop what "
                "listens there (ss -ltnp shows it) or choose another with --xds-tls-addr"
            ) from error

    @property
    def bundle_address(self) -> str:
        return self._options.bundle_endpoint

    async def listen_for_bundles(self) -> int | None:
        """Opens the bundle endpoint, if there is to be one; its port."""
        if self._endpoint is None:
            return None
        try:
            return await self._endpoint.start(*_split(self._options.bundle_endpoint, "--bundle-endpoint-addr"))
        except OSError as error:
            raise OSError(
                f"cannot serve bundles on {self._options.bundle_endpoint}: {error.strerror or error}; see "
                "--bundle-endpoint-addr, --bundle-endpoint-cert and --bundle-endpoint-key"
            ) from error

    def _present(self, chain: tuple[x509.Certificate, ...], key: PrivateKey) -> None:
        self.port.present(chain, key)
        if self._endpoint is not None:
            self._endpoint.present(chain, key)

    async def _follow_jwt_keys(self) -> None:
        """An operator replaces the key by laying files beside it; one that is not whole is said, and waited for."""
        said = ""
        while True:
            await asyncio.sleep(JWT_KEYS_EVERY)
            try:
                if self._jwt_key.load():
                    self.trust.changed()
                said = ""
            except (JwtKeyError, OSError) as error:
                if str(error) != said:
                    log.warning("the key of JWT-SVIDs: %s; the former stays in force", error)
                said = str(error)

    async def close(self) -> None:
        if self._jwt_keys:
            self._jwt_keys.cancel()
            await asyncio.gather(self._jwt_keys, return_exceptions=True)
        await self._federation.close()
        if self._endpoint is not None:
            await self._endpoint.close()
        await self.port.stop()
        await self._own.close()
        await self.issuing.close()
        await asyncio.gather(*(each.close() for each in self._attestors.values()))

    async def identify(self, context: Any) -> Caller:
        """Who calls, by a gRPC context. CallerError for one that did not come through the secure port, too."""
        peer = self.port.peer(context.peer())
        if peer is None:
            raise CallerError(
                grpc.StatusCode.UNAUTHENTICATED,
                "certificates are issued on the secure port only: connect there by TLS (--xds-tls-addr)",
            )
        return await self.callers.identify(peer, context.invocation_metadata() or ())

    async def admit(self, context: Any) -> Admitted:
        """To a stream of xDS: everybody on the plaintext port, and who has an identity on the secure one."""
        name = context.peer()
        peer: Peer | None = self.port.peer(name)
        if peer is None and not name.startswith(self.port.behind.removesuffix("/grpc")):
            return Admitted(name)
        try:
            caller = await self.identify(context)
        except CallerError as error:
            raise StreamError(error.code, error.details) from None
        who = caller.spiffe
        return Admitted(caller.address, True, who.namespace, who.service_account)

    def _names(self) -> tuple[str, ...]:
        addresses = (self._host,) if profile.is_address(self._host) and self._host not in ("0.0.0.0", "::") else ()
        return tuple(dict.fromkeys((*SERVER_NAMES, "127.0.0.1", *addresses, *self._options.names)))


def _federated(specs: tuple[str, ...], own: TrustDomains) -> tuple[Federated, ...]:
    """UsageError for a specification that can't be carried out."""
    found: dict[str, Federated] = {}
    for spec in specs:
        try:
            each = federation.parse(spec)
            if each.domain in found or each.domain in (own.own, *own.aliases):
                raise ValueError(f"{each.domain} is named twice, or is the mesh's own")
        except ValueError as error:
            raise click.UsageError(f"--federate {spec}: {error}") from None
        found[each.domain] = each
    return tuple(found.values())


def _endpoint(options: SecurityOptions, trust: Trust) -> BundleEndpoint | None:
    chain, key = options.bundle_endpoint_cert, options.bundle_endpoint_key
    if bool(chain) != bool(key) or (chain and not options.bundle_endpoint):
        raise click.UsageError("--bundle-endpoint-cert, --bundle-endpoint-key and --bundle-endpoint-addr go together")
    if not options.bundle_endpoint:
        return None
    _split(options.bundle_endpoint, "--bundle-endpoint-addr")
    return BundleEndpoint(trust, WebCertificate(Path(chain), Path(key)) if chain else None)


def attestors(specs: tuple[str, ...]) -> Mapping[str, Attestor]:
    """By kind; UsageError for a specification that can't be carried out."""
    found: dict[str, Attestor] = {}
    for spec in specs:
        kind, *rest = spec.split(",")
        if kind in found:
            raise click.UsageError(f"--attest {kind} is given twice")
        try:
            found[kind] = _attestor(kind, dict(_pair(each) for each in rest))
        except (LookupError, ValueError) as error:
            raise click.UsageError(f"--attest {spec}: {error.args[0]}") from None
    return found


def _attestor(kind: str, given: Mapping[str, str]) -> Attestor:
    cls = attestor_class(kind)
    known = [name for name in inspect.signature(cls).parameters if name != "clock"]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"unknown option {unknown[0]!r}: known are {', '.join(known)}")
    made: Attestor = cls(**given)
    return made


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} is not OPTION=VALUE")
    return key.strip().replace("-", "_"), value


def _split(address: str, option: str = "--xds-tls-addr") -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise click.UsageError(f"{option} {address!r} is not HOST:PORT")
    return host.strip("[]"), int(port)
