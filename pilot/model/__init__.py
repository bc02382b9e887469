"""The abstract service model: what every platform is translated to and all that planning knows of the world.

Values only: frozen, hashable where that is cheap, no I/O, no clock. Adapters build them, `pilot.plan` reads them.
"""
