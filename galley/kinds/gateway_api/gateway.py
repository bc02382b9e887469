"""Gateway of the Gateway API: what the routers that carry its name as a label listen on. Data only."""

from __future__ import annotations

import enum
from typing import Annotated

import attrs

from galley.kinds.gateway_api import GATEWAY_API
from galley.kinds.gateway_api.references import PortNumber, SecretObjectReference
from galley.schema import Becomes, NotYet

StringMap = tuple[tuple[str, str], ...]

_NO_CLIENT_CAS = NotYet(
    why="put the CAs into the Secret of certificateRefs, as ca.crt, and gateway.istio.io/tls-terminate-mode: MUTUAL "
    "into tls.options; or name a file on the router's host there by mesh-adapter/ca-certificates"
)
_NOT_DEPLOYED = NotYet(why="no gateway is deployed for it: start routers, and label them")


class TLSMode(enum.Enum):
    """Who ends TLS."""

    Terminate = "Terminate"
    Passthrough = "Passthrough"


class FromNamespaces(enum.Enum):
    """Namespaces whose routes may attach."""

    Same = "Same"
    All = "All"
    Selector = "Selector"


class SelectorOperator(enum.Enum):
    """How a label is compared."""

    In = "In"
    NotIn = "NotIn"
    Exists = "Exists"
    DoesNotExist = "DoesNotExist"


@attrs.frozen
class LabelSelectorRequirement:
    """One condition on a label."""

    key: str = ""
    operator: SelectorOperator | None = None
    values: tuple[str, ...] = ()


@attrs.frozen
class LabelSelector:
    """Conditions on labels that must all hold."""

    match_labels: StringMap = ()
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


@attrs.frozen
class RouteNamespaces:
    """Whose routes may attach. Of a namespace its name alone is known, as label `kubernetes.io/metadata.name`."""

    from_: FromNamespaces = FromNamespaces.Same
    selector: LabelSelector | None = None


@attrs.frozen
class RouteGroupKind:
    """A kind of route."""

    group: str = GATEWAY_API
    kind: str = ""


@attrs.frozen
class AllowedRoutes:
    """Which routes may attach to a listener; without `kinds` those of its protocol."""

    namespaces: RouteNamespaces = RouteNamespaces()
    kinds: tuple[RouteGroupKind, ...] = ()


@attrs.frozen
class ListenerTLS:
    """How TLS is ended or passed on. `options` name files of the router's host, in the place of Secrets."""

    mode: Annotated[TLSMode, Becomes("whether the chain has a `transport_socket`")] = TLSMode.Terminate
    certificate_refs: tuple[SecretObjectReference, ...] = ()
    frontend_validation: Annotated[str | None, _NO_CLIENT_CAS] = None
    options: Annotated[
        StringMap, Becomes("`tls_certificates`, `validation_context`, `require_client_certificate`")
    ] = ()


@attrs.frozen
class Listener:
    """A port, the hosts that it is for (all, where it names none), and the routes that may attach."""

    name: Annotated[str, Becomes("behind the Gateway's name in `stat_prefix` and in `https.…` route names")] = ""
    hostname: Annotated[str, Becomes("`domains`, or `filter_chain_match.server_names`")] = ""
    port: Annotated[PortNumber, Becomes("`Listener.address`, and the name of the route configuration")] = 0
    protocol: Annotated[str, Becomes("`HttpConnectionManager`, or `TcpProxy` by server name")] = ""
    tls: Annotated[ListenerTLS | None, Becomes("`DownstreamTlsContext`; none where TLS is passed on")] = None
    allowed_routes: Annotated[AllowedRoutes, Becomes("nothing: which routes attach")] = AllowedRoutes()


@attrs.frozen
class Gateway:
    """Listeners of the routers of the Gateway's namespace that are labelled with its name."""

    gateway_class_name: Annotated[str, Becomes("nothing: whether the Gateway is ours")] = ""
    listeners: Annotated[tuple[Listener, ...], Becomes("`Listener`; servers of a port share one")] = ()
    addresses: Annotated[tuple[str, ...], _NOT_DEPLOYED] = ()
    infrastructure: Annotated[StringMap, _NOT_DEPLOYED] = ()
    allowed_listeners: Annotated[str | None, NotYet(why="ListenerSet is not read; write the listeners here")] = None
    tls: Annotated[str | None, _NO_CLIENT_CAS] = None
    default_scope: Annotated[str, NotYet(why="routes name the Gateways that they belong to")] = ""
