"""A certificate with its key, or CAs, that configuration refers to by name: what `credentialName` means.

Made by `citadel.credentials` from what a source of secrets told, read by planning; in a snapshot by namespace and name.
Keys never show in a repr, so that neither logs nor exceptions hold them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs


@attrs.frozen(cache_hash=True)
class Credential:
    """PEM texts; what a secret does not hold is empty. `certificate` is a chain, `key` its key, `ca` a bundle."""

    certificate: str = ""
    key: str = attrs.field(default="", repr=False)
    ca: str = ""
    crl: str = ""


Credentials = Mapping[tuple[str, str], Credential]
"""By namespace and name."""
NO_CREDENTIALS: Credentials = MappingProxyType({})
