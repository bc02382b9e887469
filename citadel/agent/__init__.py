"""What runs beside a workload for its identity: the key is born here, and only its public half leaves the host."""
