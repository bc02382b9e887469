"""Documents → checked configuration. Imports nothing of ours: the kinds are a vocabulary that others read."""
