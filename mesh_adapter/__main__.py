"""`python -m mesh_adapter`: the same command, where the environment's scripts are not on PATH."""

from mesh_adapter.cli import main

main()
