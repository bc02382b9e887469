"""Benchmarks: `make bench`. Each prints its figures with their targets and keeps them in bench/results/."""
