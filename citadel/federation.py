"""Other trust domains' bundles, fetched from their SPIFFE bundle endpoints and kept fresh.

spiffe.io's SPIFFE_Federation.md, both profiles. `https_web` knows the endpoint by the CAs of the web, `https_spiffe` by
the bundle of its trust domain that was known before: the file the operator gave, then what was fetched last, which is
kept on disk. Run by the control plane; what is fetched goes into `citadel.trust` and is never merged with anything.
"""

from __future__ import annotations

import asyncio
import http.client
import logging
import random
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import attrs
from cryptography import x509

from citadel import durable, identity, jwk, profile
from citadel.identity import IdentityError, SpiffeId
from citadel.jwk import Bundle, BundleError
from citadel.profile import ProfileError
from citadel.trust import Trust

log = logging.getLogger(__name__)

TIMEOUT = 10.0
DEFAULT_REFRESH, SHORTEST, LONGEST = 300.0, 10.0, 3600.0
"""Seconds: the standard's five minutes where the bundle names none; and what a foreign domain may make us do."""


class FederationError(Exception):
    """The bundle could not be had; the message says from where and why."""


@attrs.frozen
class Federated:
    """A foreign domain. With an `endpoint_id` the profile is https_spiffe, and `bundle_file` holds the first bundle."""

    domain: str
    url: str
    endpoint_id: SpiffeId | None = None
    bundle_file: str = ""


def parse(text: str) -> Federated:
    """From DOMAIN=URL[,spiffe-id=ID,bundle-file=FILE]; ValueError."""
    head, *rest = text.split(",")
    domain, _, url = head.partition("=")
    options = dict(each.partition("=")[::2] for each in rest)
    unknown = sorted(set(options) - {"spiffe-id", "bundle-file"})
    if unknown:
        raise ValueError(f"unknown option {unknown[0]!r}: known are spiffe-id and bundle-file")
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or parts.fragment:
        raise ValueError(f"{url!r} is not https://HOST[:PORT]/PATH without a user")
    endpoint = identity.parse(options["spiffe-id"]) if "spiffe-id" in options else None
    if (endpoint is None) != ("bundle-file" not in options):
        raise ValueError("spiffe-id and bundle-file go together: the bundle by which the endpoint is known at first")
    if endpoint is not None and endpoint.trust_domain != domain:
        raise ValueError(f"spiffe-id {endpoint} is not of {domain}: endpoints of third domains are not supported")
    return Federated(identity.trust_domain(domain), url, endpoint, options.get("bundle-file", ""))


class Federation:
    """`folder` keeps the latest bundles. One task for each domain, from `start` to `close`."""

    def __init__(self, domains: tuple[Federated, ...], trust: Trust, folder: Path) -> None:
        self._domains = domains
        self._trust = trust
        self._folder = folder
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def start(self) -> None:
        """FederationError for a first bundle that can't be read; endpoints that are away are waited for."""
        first = {each.domain: self._first(each) for each in self._domains}
        for domain, found in first.items():
            if found is not None:
                self._trust.federate(domain, found)
        loop = asyncio.get_running_loop()
        self._tasks = tuple(loop.create_task(self._follow(each, first[each.domain])) for each in self._domains)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _first(self, each: Federated) -> Bundle | None:
        """What was fetched last; else, for https_spiffe, what the operator gave."""
        for path in (self._kept(each), Path(each.bundle_file) if each.bundle_file else None):
            if path is None or (path == self._kept(each) and not path.exists()):
                continue
            try:
                return jwk.read(path.read_bytes())
            except (OSError, BundleError) as error:
                raise FederationError(f"the bundle of {each.domain} in {path}: {error}") from None
        return None

    def _kept(self, each: Federated) -> Path:
        return self._folder / f"{each.domain}.json"

    async def _follow(self, each: Federated, known: Bundle | None) -> None:
        failures = 0
        while True:
            try:
                data = await asyncio.to_thread(fetch, each, known)
                known = self._take(each, data)
                failures, wait = 0, float(known.refresh_hint or DEFAULT_REFRESH)
            except (FederationError, BundleError, OSError) as error:
                failures += 1
                wait = SHORTEST * 2 ** min(failures - 1, 5)
                log.warning("the bundle of %s was not fetched: %s; the former stays in force", each.domain, error)
            await asyncio.sleep(min(LONGEST, max(SHORTEST, wait)) * random.uniform(0.9, 1.0))

    def _take(self, each: Federated, data: bytes) -> Bundle:
        found = jwk.read(data)
        durable.make_folder(self._folder)
        durable.write(self._kept(each), data)
        self._trust.federate(each.domain, found)
        return found


def fetch(each: Federated, known: Bundle | None) -> bytes:
    """The bundle's bytes, by one GET; blocking. FederationError or OSError. Redirects are not followed: a bundle is as
    trustworthy as who serves it, and that is whom the operator named."""
    parts = urlsplit(each.url)
    connection = http.client.HTTPSConnection(
        str(parts.hostname), parts.port, timeout=TIMEOUT, context=_context(each, known)
    )
    try:
        connection.connect()
        _check_endpoint(each, connection)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers={"accept": "application/json"})
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise FederationError(f"{each.url} answers {answer.status}")
        data = answer.read(jwk.LARGEST + 1)
    except http.client.HTTPException as error:
        raise FederationError(f"{each.url}: {error or type(error).__name__}") from None
    finally:
        connection.close()
    return data


def _context(each: Federated, known: Bundle | None) -> ssl.SSLContext:
    if each.endpoint_id is None:
        context = ssl.create_default_context()
    else:
        roots: tuple[x509.Certificate, ...] = known.roots if known else ()
        if not roots:
            raise FederationError(f"no root of {each.domain} is known that its endpoint could be known by")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # known by its SPIFFE id instead, below
        context.load_verify_locations(cadata=profile.pem(*roots))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _check_endpoint(each: Federated, connection: http.client.HTTPSConnection) -> None:
    if each.endpoint_id is None:
        return
    assert isinstance(connection.sock, ssl.SSLSocket)
    try:
        found = profile.spiffe_id(x509.load_der_x509_certificate(connection.sock.getpeercert(binary_form=True) or b""))
    except (ProfileError, IdentityError, ValueError) as error:
        raise FederationError(f"{each.url} shows no X.509-SVID: {error}") from None
    if found != each.endpoint_id:
        raise FederationError(f"{each.url} shows {found}, not {each.endpoint_id}")
