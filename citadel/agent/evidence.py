"""What the platform gave the workload to show who it is: a file, read at each use, as platforms renew it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs

KINDS = ("nomad", "consul", "kubernetes", "static")
"""The attestors of the control plane that ship with it; others are named in the same way."""
_LARGEST = 16 << 10


class NoEvidenceError(Exception):
    """There is nothing to show; the message says which file was looked for."""


@attrs.frozen
class Evidence:
    """`kind` is the attestor's name."""

    kind: str
    file: Path

    def read(self) -> str:
        """The token. NoEvidenceError if the file has none."""
        try:
            with self.file.open("rb") as file:
                found = file.read(_LARGEST + 1).decode("ascii").strip()
        except OSError as error:
            raise NoEvidenceError(f"{self.file}: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise NoEvidenceError(f"{self.file} holds no token: it is not ASCII text") from None
        if not found or len(found) > _LARGEST or "\n" in found:
            raise NoEvidenceError(f"{self.file} holds no token of one line of at most {_LARGEST} bytes")
        return found


def parse(text: str) -> Evidence:
    """From KIND=FILE; ValueError."""
    kind, equals, file = text.partition("=")
    if not equals or not kind or not file:
        raise ValueError(f"{text!r} is not KIND=FILE, as in nomad=/secrets/nomad_token ({', '.join(KINDS)})")
    return Evidence(kind, Path(file))


def found_here(environment: Mapping[str, str]) -> Evidence | None:
    """What Nomad or Kubernetes put where they always do, if they did."""
    places = []
    if secrets := environment.get("NOMAD_SECRETS_DIR"):
        places.append(Evidence("nomad", Path(secrets) / "nomad_token"))
    places.append(Evidence("kubernetes", Path("/var/run/secrets/tokens/istio-token")))
    return next((each for each in places if each.file.exists()), None)
