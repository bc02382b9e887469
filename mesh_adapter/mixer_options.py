"""What `start` is told of Mixer: whether it runs here, where it listens, where proxies find it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import attrs
import click

from mesh_adapter.assembly import SetupError
from mesh_adapter.commands.options import host_and_port
from mixer.service import MixerService

PILOT, MIXER = COMPONENTS = ("pilot", "mixer")
DEFAULT = "127.0.0.1:9091"


@attrs.frozen
class MixerOptions:
    """`components` as the operator wrote them. Methods raise SetupError, naming the option."""

    components: str = PILOT
    address: str = DEFAULT
    told: tuple[str, ...] = ()

    @property
    def pilot(self) -> bool:
        return PILOT in self._chosen()

    @property
    def mixer(self) -> bool:
        return MIXER in self._chosen()

    async def listen(self, mixer: MixerService) -> int:
        """The port that Mixer listens on. OSError for an address that is taken."""
        host, port = host_and_port(self.address, "--mixer-addr")
        try:
            return await mixer.listen(host, port)
        except OSError as error:
            raise OSError(
                f"cannot listen on {self.address} for Mixer: {error.strerror or error}; stop what listens there "
                "(ss -ltnp shows it), choose another with --mixer-addr, or leave Mixer out with --components pilot"
            ) from error

    def servers(self, port: int, xds_address: str) -> tuple[tuple[str, int], ...]:
        """Where proxies find Mixer: as told, else where it listens; nowhere if none runs here, or none can reach it.

        Proxies of other hosts come where xDS does not listen on loopback.
        """
        if self.told:
            return tuple(host_and_port(each, "--mixer-server") for each in self.told)
        if not port:
            return ()
        host, _ = host_and_port(self.address, "--mixer-addr")
        unreachable = host in ("0.0.0.0", "::") or (_loopback(host) and not _loopback(xds_address.rpartition(":")[0]))
        return () if unreachable else ((host, port),)

    def _chosen(self) -> frozenset[str]:
        names = [each.strip() for each in self.components.split(",") if each.strip()]
        unknown = [each for each in names if each not in COMPONENTS]
        if unknown or not names:
            wrong = f"{unknown[0]!r} is none" if unknown else "none is named"
            raise SetupError(f"--components {self.components!r}: {wrong}: there are {', '.join(COMPONENTS)}")
        return frozenset(names)


def _loopback(host: str) -> bool:
    return host.startswith(("127.", "unix")) or host.strip("[]") in ("localhost", "::1", "")


def mixer_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command `mixer`, the MixerOptions."""

    @click.option(
        "--components",
        default=",".join(COMPONENTS),
        show_default=True,
        metavar="NAME,…",
        help="What runs in this process: pilot serves xDS, mixer judges and takes reports.",
    )
    @click.option("--mixer-addr", default=DEFAULT, show_default=True, help="Where Mixer listens, plaintext.")
    @click.option(
        "--mixer-server",
        multiple=True,
        metavar="HOST:PORT",
        help="Where proxies find Mixer, if that is elsewhere than --mixer-addr. Repeatable.",
    )
    @functools.wraps(command)
    def told(*arguments: Any, components: str, mixer_addr: str, mixer_server: tuple[str, ...], **more: Any) -> Any:
        return command(*arguments, mixer=MixerOptions(components, mixer_addr, mixer_server), **more)

    return told
