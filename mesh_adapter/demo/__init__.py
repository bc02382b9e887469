"""The newcomer's first minute: a whole mesh on loopback, with traffic in it, that shows what its configuration does."""
