"""What runs beside a workload: the settings of a sidecar, Envoy's bootstrap from them, and Envoy under supervision."""
