"""What annotations cannot say of a kind: pure functions from a spec to its findings."""
