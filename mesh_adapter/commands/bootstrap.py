"""`mesh-adapter bootstrap`: prints Envoy's bootstrap. Also the options that say what a sidecar is, for `sidecar`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click
import yaml

from mesh_adapter.commands import options
from pilot.model.proxy import INBOUND_PORT, OUTBOUND_PORT
from pilot.model.service import Protocol
from pilot.sidecar import settings as sidecar
from pilot.sidecar.address import own_address
from pilot.sidecar.bootstrap import bootstrap as envoy_bootstrap
from pilot.sidecar.settings import Identity, SettingsError, SidecarSettings, XdsAddress, XdsMode

PROTOCOLS = ("http", "http2", "grpc", "grpc-web", "tcp")
PORT = click.IntRange(sidecar.LOWEST_PORT, sidecar.HIGHEST_PORT)
PORT_OR_0 = click.IntRange(0, sidecar.HIGHEST_PORT)

_SIDECAR_OPTIONS = (
    click.option("--service", required=True, help="Name of the service that the workload is an instance of."),
    click.option(
        "--gateway", is_flag=True, help="Be a gateway: listen as the Gateway objects say that select its labels."
    ),
    click.option("--namespace", default="default", show_default=True, help="The service's namespace."),
    click.option("--instance", help="Name of this proxy among the service's. Default: the service's name."),
    click.option("--port", type=PORT, help="Port of 127.0.0.1 that the workload listens on. Default: it only calls."),
    click.option(
        "--protocol", type=click.Choice(PROTOCOLS), help="What is spoken there. Default: as the service says, or seen."
    ),
    click.option("--address", help="This host's IP address, as peers see it. Default: that of the default route."),
    click.option(
        "--inbound-port", type=PORT, default=INBOUND_PORT, show_default=True, help="Where peers reach the workload."
    ),
    click.option(
        "--outbound-port", type=PORT, default=OUTBOUND_PORT, show_default=True, help="Where it calls HTTP by host name."
    ),
    click.option(
        "--upstream",
        multiple=True,
        metavar="HOST[:PORT]@BINDPORT",
        help="A service on a port of 127.0.0.1 of its own, as in db.service.consul:5432@5432. Repeatable.",
    ),
    click.option(
        "--label",
        multiple=True,
        metavar="KEY=VALUE",
        help="What source labels and selectors in rules match. Repeatable.",
    ),
    click.option("--locality", default="", metavar="REGION/ZONE/SUBZONE", help="Where this host is."),
    click.option(
        "--xds-addr",
        show_default=f"127.0.0.1:{sidecar.XDS_PORT}, with --identity 127.0.0.1:{sidecar.XDS_TLS_PORT}",
        help="The control plane: HOST:PORT, or unix:/path.",
    ),
    click.option(
        "--identity",
        type=click.Choice(["none", "sds"]),
        default="none",
        show_default=True,
        help="Prove the workload's identity to the mesh by a certificate that the sidecar's agent gets and serves.",
    ),
    click.option(
        "--account",
        default="",
        help="Service account that the certificate will name; others are refused. Default: whichever it names.",
    ),
    click.option(
        "--sds-socket",
        show_default="/run/mesh-adapter/INSTANCE.NAMESPACE.sock",
        help="Unix socket of the agent: Envoy's secrets and SPIFFE's Workload API.",
    ),
    click.option(
        "--trust-domain", default=sidecar.TRUST_DOMAIN, show_default=True, help="Trust domain of the mesh's identities."
    ),
    click.option(
        "--xds-mode",
        type=click.Choice([mode.value for mode in XdsMode]),
        default=XdsMode.DELTA.value,
        show_default=True,
        help="Ask for changes only, or for the state of the world.",
    ),
    click.option(
        "--admin-port",
        type=PORT_OR_0,
        default=sidecar.ADMIN_PORT,
        show_default=True,
        help="Envoy's admin interface, on 127.0.0.1; 0 for a free port.",
    ),
    click.option(
        "--health-port",
        type=PORT_OR_0,
        default=sidecar.HEALTH_PORT,
        show_default=True,
        help="Answers /healthz/ready; 0 for none.",
    ),
    click.option(
        "--metrics-port",
        type=PORT_OR_0,
        default=sidecar.METRICS_PORT,
        show_default=True,
        help="Answers /stats/prometheus; 0 for none.",
    ),
    click.option(
        "--identity-files",
        default="",
        metavar="DIR",
        help="Folder with cert-chain.pem, key.pem and root-cert.pem: mutual TLS with other proxies.",
    ),
    click.option("--dns-domain", default="service.consul", show_default=True, help="Last part of the proxy's id."),
)


def sidecar_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of which `settings_from` makes SidecarSettings, in this order in the help."""
    for option in reversed(_SIDECAR_OPTIONS):
        command = option(command)
    return command


_READ_APART = ("upstream", "label", "sds_socket", "trust_domain")
SOCKETS = "/run/mesh-adapter"


def _identity(given: dict[str, Any]) -> Identity | None:
    if given["identity"] == "none":
        return None
    name = f"{given['instance'] or given['service']}.{given['namespace']}"
    return Identity(given["sds_socket"] or f"{SOCKETS}/{name}.sock", given["trust_domain"])


def settings_from(given: dict[str, Any]) -> SidecarSettings:
    """Settings from the values of `sidecar_options` by parameter name. A value that can't be is a usage error."""
    try:
        identity = _identity(given)
        port = sidecar.XDS_TLS_PORT if identity else sidecar.XDS_PORT
        return SidecarSettings(
            **{name: value for name, value in given.items() if name not in _READ_APART}
            | {
                "identity": identity,
                "instance": given["instance"] or "",
                "protocol": Protocol.parse(given["protocol"] or "") or Protocol.UNSPECIFIED,
                "address": given["address"] or own_address(),
                "upstreams": tuple(sidecar.parse_upstream(text) for text in given["upstream"]),
                "labels": sidecar.parse_labels(given["label"]),
                "locality": sidecar.parse_locality(given["locality"]),
                "xds_addr": XdsAddress.parse(given["xds_addr"] or f"127.0.0.1:{port}"),
                "xds_mode": XdsMode(given["xds_mode"]),
            }
        )
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


@click.command()
@sidecar_options
@options.output("json", "yaml")
def bootstrap(output: str, **given: Any) -> None:
    """Print the bootstrap of a sidecar, for an Envoy that you run yourself.

    Save it and start Envoy with --config-path FILE; how many threads it has and what it logs are Envoy's own options.
    """
    try:
        document = envoy_bootstrap(settings_from(given))
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    if output == "yaml":
        click.echo(yaml.dump(document, Dumper=_NoAliases, sort_keys=False), nl=False)
    else:
        click.echo(json.dumps(document, indent=2))


class _NoAliases(yaml.SafeDumper):
    """Equal parts are written out each time: Envoy reads aliases, people who edit the file rather not."""

    def ignore_aliases(self, data: object) -> bool:
        return True
