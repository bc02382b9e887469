"""Runs all benchmarks, or those named: `python -m bench xds consul_scale`. Exit status 1 if a target is missed."""

from __future__ import annotations

import importlib
import sys

BENCHMARKS = (
    "xds",
    "consul_scale",
    "nomad_scale",
    "nomad_envoy",
    "kubernetes_scale",
    "plan_scale",
    "gateway_api",
    "citadel_sign",
    "citadel_restart",
    "citadel_rotation",
    "mixer_dispatch",
    "mixer_quota",
    "mixer_check",
    "mixer_compiled",
)


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        print(f"bench: unknown {', '.join(unknown)}: there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    missed = 0
    for name in names or BENCHMARKS:
        print(f"== {name}", flush=True)
        missed += importlib.import_module(f"bench.{name}").main()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
