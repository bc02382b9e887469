"""Platforms → facts: the only code that talks to a platform. Start at `platform.py`."""
