"""The SPIFFE bundle endpoint: the mesh's own bundle over HTTPS, for trust domains that federate with it.

Profile https_spiffe: it shows the control plane's own certificate of the mesh, whose id is the endpoint's. Or
https_web, where the operator gives a certificate of the web. Everybody may read: a bundle holds nothing secret.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import attrs
from aiohttp import web
from cryptography import x509

from citadel import profile
from citadel.profile import PrivateKey
from citadel.secure_port import load_identity
from citadel.trust import Trust


@attrs.frozen
class WebCertificate:
    """PEM files of the operator's, for https_web."""

    chain: Path
    key: Path


class BundleEndpoint:
    """`present` for https_spiffe, before `start` and whenever the certificate is renewed."""

    def __init__(self, trust: Trust, certificate: WebCertificate | None = None) -> None:
        self._trust = trust
        self._certificate = certificate
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._presented = asyncio.Event()
        application = web.Application()
        application.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None)

    def present(self, chain: tuple[x509.Certificate, ...], key: PrivateKey) -> None:
        """From the next connection on."""
        if self._certificate is None:
            load_identity(self._context, profile.pem(*chain).encode() + profile.key_pem(key))
            self._presented.set()

    async def start(self, host: str, port: int) -> int:
        """Listens, and returns the port; waits for a certificate. OSError (ssl.SSLError for files that do not fit)."""
        if self._certificate is None:
            await self._presented.wait()
        else:
            self._context.load_cert_chain(self._certificate.chain, self._certificate.key)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, ssl_context=self._context).start()
        found: int = self._runner.addresses[0][1]
        return found

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, _: web.Request) -> web.Response:
        return web.Response(body=self._trust.bundle(), content_type="application/json", charset="utf-8")
