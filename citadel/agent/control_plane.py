"""The agent's side of the control plane's secure port: certificates, bundles and JWT-SVIDs, by gRPC over TLS.

The control plane is who has a certificate of the mesh with the DNS name `mesh-adapter`: no workload gets one with a
name. Called by `keeper` and `workload_api`; errors of gRPC become ControlPlaneError, which says whether to try again.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import Any

import grpc
import grpc.aio
from cryptography import x509
from google.protobuf.message import DecodeError

from citadel import profile
from citadel.agent.evidence import Evidence
from citadel.agent.holdings import Svid
from citadel.callers import EVIDENCE
from citadel.csr_messages import SERVICE as CSR_SERVICE
from citadel.csr_messages import Request, Response
from citadel.workload_messages import (
    HEADER,
    SERVICE,
    JWTBundlesResponse,
    JWTSVIDRequest,
    JWTSVIDResponse,
    X509BundlesResponse,
)

SERVER_NAME = "mesh-adapter"
TIMEOUT = 15.0
_PASSING = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.CANCELLED,
)
_OPTIONS = (
    ("grpc.ssl_target_name_override", SERVER_NAME),
    ("grpc.keepalive_time_ms", 30_000),  # the server takes pings more often than each ten seconds for abuse
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.use_local_subchannel_pool", 1),  # a new certificate means a new connection
)


Bundles = AsyncIterator[Mapping[str, bytes]]


class ControlPlaneError(Exception):
    """It did not give what was asked; `refused` where it knows us and said no, else it may well later."""

    def __init__(self, message: str, *, refused: bool) -> None:
        super().__init__(message)
        self.refused = refused


class ControlPlane:
    """`address` is HOST:PORT of the secure port. Nothing is held between calls but the watches' connections."""

    def __init__(self, address: str) -> None:
        self.address = address

    async def sign(
        self,
        csr: str,
        ttl: timedelta,
        roots: tuple[x509.Certificate, ...],
        by: Svid | Evidence,
    ) -> tuple[tuple[x509.Certificate, ...], tuple[x509.Certificate, ...]]:
        """The chain, and the roots to trust. NoEvidenceError if the evidence can't be read."""
        metadata = () if isinstance(by, Svid) else (("authorization", f"Bearer {by.read()}"), (EVIDENCE, by.kind))
        request = Request(csr=csr, validity_duration=int(ttl.total_seconds()))
        try:
            async with self._channel(roots, by if isinstance(by, Svid) else None) as channel:
                method = channel.unary_unary(f"/{CSR_SERVICE}/CreateCertificate")
                data = await method(request.SerializeToString(), metadata=metadata, timeout=TIMEOUT)
            *chain, trusted = Response.FromString(data).cert_chain
            return _certificates("".join(chain)), _certificates(trusted)
        except grpc.aio.AioRpcError as error:
            raise _translated(error, self.address) from None
        except (DecodeError, ValueError) as error:
            raise ControlPlaneError(f"{self.address} answers what is no chain: {error}", refused=False) from None

    async def jwt_svid(self, audience: tuple[str, ...], roots: tuple[x509.Certificate, ...], by: Svid) -> str:
        """A JWT-SVID of the own identity for these audiences."""
        request = JWTSVIDRequest(audience=audience)
        try:
            async with self._channel(roots, by) as channel:
                method = channel.unary_unary(f"/{SERVICE}/FetchJWTSVID")
                data = await method(request.SerializeToString(), metadata=(HEADER,), timeout=TIMEOUT)
            return str(JWTSVIDResponse.FromString(data).svids[0].svid)
        except grpc.aio.AioRpcError as error:
            raise _translated(error, self.address) from None
        except (DecodeError, IndexError) as error:
            raise ControlPlaneError(f"{self.address} answers no JWT-SVID: {error}", refused=False) from None

    @contextlib.asynccontextmanager
    async def watches(self, roots: tuple[x509.Certificate, ...], by: Svid) -> AsyncIterator[tuple[Bundles, Bundles]]:
        """Each state of the trusted roots, and of the keys of JWT-SVIDs, by trust domain: two streams of one
        connection, for ever. They end by ControlPlaneError."""
        async with self._channel(roots, by) as channel:
            yield (
                self._watch(channel, "FetchX509Bundles", X509BundlesResponse.FromString),
                self._watch(channel, "FetchJWTBundles", JWTBundlesResponse.FromString),
            )

    async def _watch(self, channel: grpc.aio.Channel, method: str, parse: Callable[[bytes], Any]) -> Bundles:
        try:
            async for data in channel.unary_stream(f"/{SERVICE}/{method}")(b"", metadata=(HEADER,)):
                yield dict(parse(data).bundles)
        except grpc.aio.AioRpcError as error:
            raise _translated(error, self.address) from None
        except DecodeError as error:
            raise ControlPlaneError(f"{self.address} sends what are no bundles: {error}", refused=False) from None
        raise ControlPlaneError(f"{self.address} ended {method}", refused=False)

    def _channel(self, roots: tuple[x509.Certificate, ...], by: Svid | None) -> grpc.aio.Channel:
        key = profile.key_pem(by.key) if by else None
        chain = profile.pem(*by.chain).encode() if by else None
        credentials = grpc.ssl_channel_credentials(profile.pem(*roots).encode(), key, chain)
        return grpc.aio.secure_channel(self.address, credentials, options=_OPTIONS)


def _certificates(pem: str) -> tuple[x509.Certificate, ...]:
    return tuple(x509.load_pem_x509_certificates(pem.encode()))


def _translated(error: grpc.aio.AioRpcError, address: str) -> ControlPlaneError:
    passing = error.code() in _PASSING
    verb = "can't be asked now" if passing else "refused"
    return ControlPlaneError(f"the control plane at {address} {verb}: {error.details()}", refused=not passing)
