"""A gRPC server over HTTP/2 for storms of small calls (docs/adr: what Mixer's calls go through).

`frames` and `headers` read and write the wire, `connection` is the protocol without I/O, `server` gives it sockets.
"""
