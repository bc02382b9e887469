"""OTLP, OpenTelemetry's protocol: instances as its messages (`encode`, `series`), and how they travel (`transport`)."""
