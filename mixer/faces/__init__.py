"""How callers reach Mixer: each face turns its protocol into bags of attributes and verdicts back. No sockets here."""
