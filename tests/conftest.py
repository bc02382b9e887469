"""What every test may use: the fixtures that start real servers, and the option that rewrites the golden files."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("adapters.testing")  # so that asserts of the suite that ships explain themselves
pytest_plugins = ["tests.servers.fixtures"]

settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
settings.load_profile("repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write tests/golden/*/*.yaml anew instead of comparing"
    )


os.environ["MESH_ADAPTER_MIXER_ADDR"] = "127.0.0.1:0"
"""Control planes that tests start take a free port for Mixer, unless the test says which."""

LIBRARY_WARNING = "ignore:Using `@model_validator` with mode='after':DeprecationWarning"
"""envoy-data-plane speaks to pydantic in a deprecated way whenever it is imported."""


def pytest_configure(config: pytest.Config) -> None:
    """Refuses to update under CI: a build that rewrites what it is to compare with would always pass."""
    config.addinivalue_line("filterwarnings", LIBRARY_WARNING)
    if config.getoption("--update-golden") and os.environ.get("CI"):
        raise pytest.UsageError("--update-golden is refused under CI: run it on your machine and review the changes")
