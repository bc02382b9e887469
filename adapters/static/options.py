"""What an operator may say of a static platform. Read by `adapters.options`; the meaning: docs/reference/static.md."""

from __future__ import annotations

import attrs

from adapters.options import option
from adapters.platform import Platform


@attrs.frozen
class StaticOptions:
    """As the command line has them, `--static-…`."""

    file: str = option(help="File or directory of services, for the platform static.")

    def platform(self, name: str) -> Platform:
        """The platform, not watching yet. ValueError if the file has no name."""
        from adapters.static.watch import StaticPlatform

        if not self.file:
            raise ValueError("file is empty: say which file or directory")
        return StaticPlatform(self.file, name)
