"""GatewayClass: whose the Gateways of a class are. Data only."""

from __future__ import annotations

from typing import Annotated

import attrs

from galley.schema import Becomes, NotYet


@attrs.frozen
class ParametersReference:
    """An object with settings of a controller's own."""

    group: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""


@attrs.frozen
class GatewayClass:
    """Gateways of the class are ours where `controllerName` is one of ours."""

    controller_name: Annotated[str, Becomes("nothing: whether Gateways of the class are ours")] = ""
    parameters_ref: Annotated[ParametersReference | None, NotYet(why="no gateway is deployed that it could shape")] = (
        None
    )
    description: Annotated[str, Becomes("nothing: for people")] = ""
