"""The Kubernetes API as this product uses it: a connection, list and watch, and what of a listing is believed.

For `adapters.kubernetes` and `galley.ingest.kubernetes`, which may not import each other. Knows of resources and
objects; nothing of services, nothing of configuration kinds. Start at `mirror.py`.
"""
