"""The world at one moment: what the platforms told and what the operator configured. Planning's first argument."""

from __future__ import annotations

import attrs

from galley.config import Config
from pilot.model.catalog import Catalog
from pilot.model.credential import NO_CREDENTIALS, Credentials
from pilot.model.mixer import MixerPolicy


@attrs.frozen(eq=False)
class Snapshot:
    catalog: Catalog
    config: Config
    mixer: MixerPolicy | None = None
    """None where no Mixer runs, or it has no rules."""
    credentials: Credentials = attrs.field(default=NO_CREDENTIALS, repr=False)
