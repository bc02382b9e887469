"""`mesh-adapter start`: runs the control plane until it is told to stop."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import click
import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry

from adapters.platform import PLATFORMS, Announcement
from citadel.attest import ATTESTORS
from citadel.authority import AuthorityError
from citadel.identity import IdentityError
from mesh_adapter import assembly, logs, platforms_reload
from mesh_adapter.authorities import AuthorityOptions, VaultOptions, authority_options
from mesh_adapter.commands import options, platform_options
from mesh_adapter.control_plane import ControlPlane
from mesh_adapter.http import application
from mesh_adapter.leadership import Alone, Leadership, leadership
from mesh_adapter.metrics import ControlPlaneCollector
from mesh_adapter.mixer_options import MixerOptions, mixer_options
from mesh_adapter.mixer_part import MixerPart
from mesh_adapter.root_rotation import rotator
from mesh_adapter.root_schedule import RootSchedule
from mesh_adapter.secret_sources import secret_sources
from mesh_adapter.security import Security, SecurityOptions
from mixer.service import MixerService
from pilot.xds.server import Listen, XdsServer

log = logging.getLogger(__name__)

GRACE = 5.0
"""Seconds that streams and requests get to end after SIGTERM."""


@attrs.frozen
class Addresses:
    xds: str
    http: str


@click.command()
@click.option(
    "--platform",
    multiple=True,
    metavar="KIND[=NAME]",
    help=f"Where services live: {', '.join(PLATFORMS)}. Repeatable; several of a kind by names.",
)
@click.option(
    "--platform-option",
    multiple=True,
    metavar="NAME.OPTION=VALUE",
    help="An option of one platform, as in east.addr=10.0.0.1:8500. Repeatable.",
)
@click.option(
    "--merge",
    type=click.Choice(["by-name", "by-host"]),
    default="by-name",
    show_default=True,
    help="Which services of several platforms are one: those of one namespace and name, or of one host only.",
)
@click.option("--platforms-file", default="", metavar="FILE", help="File that names platforms with their options.")
@click.option(
    "--config",
    "config",
    multiple=True,
    help="Directory or file of configuration documents, watched; kubernetes: for those of a cluster. Repeatable.",
)
@platform_options.by_kind
@click.option("--xds-addr", default="127.0.0.1:15010", show_default=True, help="Where proxies connect, plaintext.")
@authority_options
@click.option(
    "--xds-tls-addr",
    default="127.0.0.1:15012",
    show_default=True,
    help="Where proxies connect by mutual TLS, and certificates are issued; with --ca only.",
)
@click.option(
    "--credentials",
    multiple=True,
    metavar="SOURCE",
    help="Where secrets named by credentialName are: a directory with NAMESPACE/NAME/tls.crt and so on, "
    "vault:MOUNT/PREFIX, or kubernetes:[NAMESPACE,…]. Repeatable.",
)
@click.option(
    "--xds-plaintext-secrets",
    is_flag=True,
    help="Tell secrets on the plaintext port too, where proxies are believed what namespace they are of.",
)
@click.option("--xds-tls-name", multiple=True, help="A further DNS name or IP address of that port. Repeatable.")
@click.option(
    "--attest",
    multiple=True,
    metavar="KIND[,OPTION=VALUE…]",
    help=f"Whose word counts for who a workload is: {', '.join(ATTESTORS)}. Repeatable.",
)
@click.option("--trust-domain-alias", multiple=True, help="A trust domain that counts as the mesh's own. Repeatable.")
@click.option(
    "--workload-cert-ttl",
    type=options.Duration(),
    default="24h",
    show_default=True,
    help="Life of a leaf unless its caller says.",
)
@click.option(
    "--max-workload-cert-ttl",
    type=options.Duration(),
    default="2160h",
    show_default=True,
    help="Longest life of a leaf.",
)
@click.option(
    "--jwt-key-file",
    default="",
    help="EC P-256 key that JWT-SVIDs are signed by; made if it is not there. Default: jwt-key.pem in --ca-dir.",
)
@click.option(
    "--federate",
    multiple=True,
    metavar="DOMAIN=URL[,…]",
    help="A foreign trust domain and its bundle endpoint; for https_spiffe with ,spiffe-id=ID,bundle-file=FILE. "
    "Repeatable.",
)
@click.option(
    "--bundle-endpoint-addr",
    default="",
    help="Where the mesh's own bundle is served over HTTPS, for domains that federate with it. Default: nowhere.",
)
@click.option(
    "--bundle-endpoint-cert",
    default="",
    help="Certificate chain of the bundle endpoint (https_web). Default: the control plane's own (https_spiffe).",
)
@click.option("--bundle-endpoint-key", default="", help="Key of --bundle-endpoint-cert.")
@click.option(
    "--ca-root-rotate-every",
    type=options.Duration(),
    default=None,
    help="Begin with a new root when the last rotation ended so long ago; with --ca only. Default: by hand.",
)
@click.option(
    "--leader-election",
    default="",
    metavar="consul:KEY",
    help="Which of several replicas rotates roots: the one that holds this key, in the Consul of --consul-addr.",
)
@options.http_address
@mixer_options
@click.option(
    "--debounce",
    type=click.FloatRange(0, 10),
    default=0.05,
    show_default=True,
    help="Seconds between two snapshots under a burst of changes; a single change is published at once.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
)
@click.option("--log-format", type=click.Choice(logs.FORMATS), default="text", show_default=True)
def start(
    platform: tuple[str, ...],
    platform_option: tuple[str, ...],
    merge: str,
    platforms_file: str,
    config: tuple[str, ...],
    xds_addr: str,
    ca: AuthorityOptions,
    xds_tls_addr: str,
    credentials: tuple[str, ...],
    xds_plaintext_secrets: bool,
    xds_tls_name: tuple[str, ...],
    attest: tuple[str, ...],
    trust_domain_alias: tuple[str, ...],
    workload_cert_ttl: timedelta,
    max_workload_cert_ttl: timedelta,
    ca_root_rotate_every: timedelta | None,
    leader_election: str,
    jwt_key_file: str,
    federate: tuple[str, ...],
    bundle_endpoint_addr: str,
    bundle_endpoint_cert: str,
    bundle_endpoint_key: str,
    http_addr: str,
    mixer: MixerOptions,
    debounce: float,
    log_level: str,
    log_format: str,
    **by_kind: Any,
) -> None:
    """Run the control plane.

    Prints one line per listening address, and `ready` once every platform and configuration source has told all it
    has. Ends cleanly on SIGTERM and SIGINT.
    """
    logs.configure(log_level, log_format)
    chosen = assembly.Options(
        platforms=platform,
        platform_options=platform_option,
        platforms_file=platforms_file,
        kinds=platform_options.collected(by_kind),
        config=config,
        merge_by_name=merge == "by-name",
        credentials=credentials,
        plaintext_secrets=xds_plaintext_secrets,
    )
    security = SecurityOptions(
        ca=ca,
        address=xds_tls_addr,
        aliases=trust_domain_alias,
        attest=attest,
        names=xds_tls_name,
        ttl=workload_cert_ttl,
        max_ttl=max_workload_cert_ttl,
        jwt_key_file=jwt_key_file,
        federate=federate,
        bundle_endpoint=bundle_endpoint_addr,
        bundle_endpoint_cert=bundle_endpoint_cert,
        bundle_endpoint_key=bundle_endpoint_key,
    )
    if attest and not ca.name:
        raise click.UsageError("--attest needs a certificate authority: give --ca embedded or --ca vault")
    if ca_root_rotate_every and not ca.name:
        raise click.UsageError("--ca-root-rotate-every needs a certificate authority: give --ca embedded or --ca vault")
    try:
        leading = leadership(leader_election, chosen.kinds)
        roots = _schedule(ca, ca_root_rotate_every, leading)
        addresses = Addresses(xds_addr, http_addr)
        uvloop.run(serve(chosen, addresses, debounce, security if ca.name else None, mixer, leading, roots, ca.vault))
    except (assembly.SetupError, IdentityError) as error:
        raise click.UsageError(str(error)) from error
    except (AuthorityError, OSError) as error:
        raise click.ClickException(str(error)) from error


async def serve(
    chosen: assembly.Options,
    addresses: Addresses,
    debounce: float = 0.05,
    secured: SecurityOptions | None = None,
    mixer_options: MixerOptions = MixerOptions(),  # noqa: B008 - frozen
    leading: Leadership | None = None,
    roots: RootSchedule | None = None,
    vault: VaultOptions | None = None,
) -> None:
    """Runs until SIGTERM or SIGINT. SetupError for options that can't be carried out, OSError for addresses,
    AuthorityError for a certificate authority that can't sign."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    assembled = assembly.assembled(chosen)
    platforms = assembly.platforms(assembled.specs)
    sources = assembly.sources(chosen.config, chosen.kinds)
    pilot = mixer_options.pilot
    registry = CollectorRegistry()
    mixer = MixerService({"registry": registry}) if mixer_options.mixer else None
    part = MixerPart(mixer, for_proxies=pilot)
    plane = ControlPlane(
        platforms,
        sources,
        arrangement=assembled.arrangement(chosen.merge_by_name),
        clock=_now,
        debounce=debounce,
        mixer=part,
        credentials=secret_sources(chosen, vault or VaultOptions(), _now),
        plaintext_secrets=chosen.plaintext_secrets,
    )
    leading = leading or Alone()
    ControlPlaneCollector(plane, registry, leading)
    security = Security(secured, registry) if secured else None
    xds = _xds_server(plane, registry, security)
    runner = web.AppRunner(application(plane, xds, registry, leading, roots), access_log=None)
    follower: asyncio.Future[None] | None = None
    opening: asyncio.Task[None] | None = None
    rotating: asyncio.Task[None] | None = None
    try:
        xds_port = await _start_xds(xds, addresses.xds, security) if pilot else 0
        mixer_port = await mixer_options.listen(mixer) if mixer else 0
        if pilot:
            part.addresses = mixer_options.servers(mixer_port, addresses.xds)
        http_port = await _start_http(runner, addresses.http)
        if pilot:
            click.echo(f"xds listening on {_with_port(addresses.xds, xds_port)}")
        if security and secured:
            opening = await _open(security, secured.address)
        if mixer:
            click.echo(f"mixer listening on {_with_port(mixer_options.address, mixer_port)}")
        click.echo(f"http listening on {_with_port(addresses.http, http_port)}")
        if pilot:
            plane.announce(Announcement(addresses.xds.rpartition(":")[0].strip("[]"), xds_port, http_port))
        plane.start()
        leading.start()
        rotating = asyncio.create_task(roots.run()) if roots else None
        if chosen.platforms_file:
            follower = asyncio.ensure_future(platforms_reload.follow(chosen, assembled, plane))
        await _announce(plane, stop)
        await stop.wait()
    finally:
        for task in (follower, rotating):
            if task:
                task.cancel()
        await asyncio.to_thread(leading.close)
        await asyncio.gather(xds.stop(GRACE), *([mixer.close(GRACE)] if mixer else []))
        if opening:
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
        if security:
            await security.close()
        await runner.cleanup()
        await plane.close()
    click.echo("stopped")


def _schedule(ca: AuthorityOptions, every: timedelta | None, leading: Leadership) -> RootSchedule | None:
    """Rotation by the calendar, if that was asked for. ClickException if the authority's roots can't be rotated."""
    if every is None:
        return None
    schedule = RootSchedule(functools.partial(rotator, ca), every, leading, _now)
    if ca.chosen == "embedded":
        with rotator(ca):  # refuses an operator's own files before anything is served
            pass
    return schedule


async def _announce(plane: ControlPlane, stop: asyncio.Event) -> None:
    """Prints `ready` when it is so; says what is waited for every ten seconds until then."""
    stopped = asyncio.ensure_future(stop.wait())
    ready = asyncio.ensure_future(plane.ready.wait())
    try:
        while not stopped.done() and not ready.done():
            await asyncio.wait((stopped, ready), timeout=10.0, return_when=asyncio.FIRST_COMPLETED)
            if ready.done():
                _calm_collector()
                click.echo("ready")
            elif not stopped.done():
                log.info("not ready yet: waiting for %s", "; ".join(plane.status().waiting))
    finally:
        stopped.cancel()
        ready.cancel()


def _xds_server(plane: ControlPlane, registry: CollectorRegistry, security: Security | None) -> XdsServer:
    if security is None:
        return XdsServer(plane.discovery, registry=registry, clock=_now)
    services, admit = security.services, security.admit
    return XdsServer(plane.discovery, registry=registry, clock=_now, services=services, admit=admit)


async def _start_xds(xds: XdsServer, address: str, security: Security | None) -> int:
    behind = [Listen(security.port.behind)] if security else []
    try:
        port, *_ = await xds.start([Listen(address), *behind])
    except OSError as error:
        raise OSError(f"{error} with --xds-addr") from error
    return port


async def _open(security: Security, address: str) -> asyncio.Task[None]:
    """Opens the secure port: before this returns if the authority signs already, else as soon as it does."""

    async def open_port() -> None:
        click.echo(f"xds over TLS listening on {_with_port(address, await security.listen())}")
        if (port := await security.listen_for_bundles()) is not None:
            click.echo(f"bundles listening on {_with_port(security.bundle_address, port)}")

    await security.start()
    opening = asyncio.ensure_future(open_port())
    if security.can_listen:
        await opening
    return opening


def _calm_collector() -> None:
    """What was made until now stays: the garbage collector need not look at it at every push (a tenth of the time)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def _start_http(runner: web.AppRunner, address: str) -> int:
    host, port = options.host_and_port(address, "--http-addr")
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        raise OSError(
            f"cannot listen on {address} for HTTP: {error.strerror or error}; stop what listens there "
            "(ss -ltnp shows it) or choose another with --http-addr"
        ) from error
    bound: int = runner.addresses[0][1]
    return bound


def _with_port(address: str, port: int) -> str:
    host, _, _ = address.rpartition(":")
    return f"{host}:{port}" if host and not address.startswith("unix:") else address


def _now() -> datetime:
    return datetime.now(UTC)
