"""From options to the sidecar's agent. What the agent needs is loaded only where one is asked for: it weighs much."""

from __future__ import annotations

import contextlib
import grp
import logging
import os
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import click

from mesh_adapter.commands.options import Duration
from pilot.sidecar.launch import Beside
from pilot.sidecar.settings import Identity, SidecarSettings


class AgentError(Exception):
    """The agent can't be run as it was asked for; the message names the option and the mend."""


@attrs.frozen
class AgentOptions:
    """`evidence` is KIND=FILE, or empty for what Nomad and Kubernetes put in their usual places."""

    evidence: str = ""
    root_cert_file: str = ""
    identity_dir: str = ""
    cert_ttl: timedelta = timedelta()
    group: str = ""
    only: bool = False


_OPTIONS = (
    click.option(
        "--evidence",
        default="",
        metavar="KIND=FILE",
        help="With --identity sds: what shows who the workload is at first: nomad, consul, kubernetes or "
        "static, and the file with the token. Default: what Nomad or Kubernetes put in its usual place.",
    ),
    click.option(
        "--root-cert-file",
        default="",
        help="With --identity sds: roots by which the control plane is known, as PEM. Default: in --identity-dir.",
    ),
    click.option(
        "--identity-dir",
        default="",
        help="Folder, mode 0700, that keeps the certificate and its key over restarts. Default: memory only.",
    ),
    click.option("--cert-ttl", type=Duration(), help="Life of a certificate. Default: the control plane's."),
    click.option("--sds-socket-group", default="", help="Group, by name or id, that may open the socket as well."),
    click.option("--agent-only", is_flag=True, help="Run the agent without Envoy, which something else starts."),
)


def agent_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of the agent; the command takes them as one argument `agent: AgentOptions`."""

    def gathered(
        *args: Any,
        evidence: str,
        root_cert_file: str,
        identity_dir: str,
        cert_ttl: timedelta | None,
        sds_socket_group: str,
        agent_only: bool,
        **others: Any,
    ) -> Any:
        options = AgentOptions(
            evidence, root_cert_file, identity_dir, cert_ttl or timedelta(), sds_socket_group, agent_only
        )
        return command(*args, agent=options, **others)

    gathered.__name__, gathered.__doc__ = command.__name__, command.__doc__
    gathered.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(_OPTIONS):
        gathered = option(gathered)
    return gathered


def agent_beside(settings: SidecarSettings, options: AgentOptions) -> Callable[[], Beside]:
    """What `pilot.sidecar.launch` is to keep open. UsageError for options that contradict each other."""
    if settings.identity is None:
        if options != AgentOptions():
            raise click.UsageError("the agent's options need --identity sds: add it, or leave them out")
        return contextlib.nullcontext
    if settings.xds_addr.path:
        raise click.UsageError("--identity sds needs the control plane's secure port: give --xds-addr HOST:PORT")
    return _agent(settings, settings.identity, options)


def _agent(settings: SidecarSettings, identity: Identity, options: AgentOptions) -> Callable[[], Beside]:
    from citadel.agent import evidence, kept
    from citadel.agent.agent import Agent
    from citadel.agent.keeper import KeeperSettings
    from citadel.agent.local_socket import LocalSocket, SocketError

    folder = Path(options.identity_dir) if options.identity_dir else None
    roots = Path(options.root_cert_file) if options.root_cert_file else folder / kept.ROOTS if folder else None
    if roots is None or not (roots.exists() or (folder and (folder / kept.ROOTS).exists())):
        raise click.UsageError(
            f"--root-cert-file: {roots or 'no file'} to know the control plane by: give the mesh's roots as PEM "
            "(root-cert.pem in the control plane's --ca-dir, or of `mesh-adapter cert issue`)"
        )
    try:
        shown = evidence.parse(options.evidence) if options.evidence else evidence.found_here(os.environ)
    except ValueError as error:
        raise click.UsageError(f"--evidence: {error}") from None
    if shown is None and not (folder and (folder / kept.FILE).exists()):
        raise click.UsageError("--evidence is missing, and none was found: give --evidence KIND=FILE")
    host = f"[{settings.xds_addr.host}]" if ":" in settings.xds_addr.host else settings.xds_addr.host
    keeper = KeeperSettings(f"{host}:{settings.xds_addr.port}", roots, shown, folder, options.cert_ttl)
    socket = LocalSocket(Path(identity.sds_socket), _group(options.group))

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[object]:
        logging.basicConfig(level=logging.INFO, format="sidecar: %(levelname)s %(message)s")
        try:
            async with Agent(keeper, socket) as agent:
                yield agent
        except SocketError as error:
            raise AgentError(f"--sds-socket: {error}") from None

    return opened


def _group(text: str) -> int | None:
    if not text or text.isdigit():
        return int(text) if text else None
    try:
        return grp.getgrnam(text).gr_gid
    except KeyError:
        raise click.UsageError(f"--sds-socket-group: there is no group {text!r}: see /etc/group") from None
