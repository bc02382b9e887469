"""Istio's configuration kinds as frozen classes: data only. Their checks live in `galley.checks`."""
