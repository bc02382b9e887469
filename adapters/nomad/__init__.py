"""Nomad: services of jobs, whose registry is Nomad itself. Start at `watch.py`."""
