# What `mesh-adapter start --platform nomad` needs, and nothing more: nomad acl policy apply mesh-adapter FILE
# For some namespaces only, repeat the block for each, and name them with --nomad-namespace.

namespace "*" {
  # Services, allocations with their checks, jobs, and the event stream of the three.
  capabilities = ["list-jobs", "read-job"]
}

# Node class for locality, and nodes that are down. Without it both are missing, with a problem that says so.
node {
  policy = "read"
}

# Which region the agent is in; needed only where there are several and none is named with --nomad-region.
agent {
  policy = "read"
}
