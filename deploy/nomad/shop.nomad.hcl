# An example for `mesh-adapter inject` (docs/nomad.md): a service, and a caller that reaches it through the mesh.
# Nodes need python3 and curl, the driver raw_exec, the CNI plug-ins, and Envoy in /usr/local/bin.
job "shop" {
  datacenters = ["*"]

  group "web" {
    count = 2

    update {
      max_parallel     = 1
      canary           = 1
      auto_promote     = true
      min_healthy_time = "2s"
    }

    network {
      mode = "bridge"
      port "http" {
        to = 8080
      }
    }

    service {
      name     = "web"
      provider = "nomad"
      port     = "http"
      tags     = ["v1"]

      meta {
        protocol = "http"
      }

      check {
        type     = "http"
        path     = "/"
        interval = "2s"
        timeout  = "1s"
      }
    }

    task "serve" {
      driver = "raw_exec"

      config {
        command = "python3"
        args    = ["-m", "http.server", "8080", "--directory", "${NOMAD_TASK_DIR}"]
      }

      template {
        data        = "web, in allocation {{ env \"NOMAD_ALLOC_ID\" }}\n"
        destination = "local/index.html"
      }

      resources {
        cpu    = 50
        memory = 64
      }
    }
  }

  # It has no service of its own; the meta gives it an Envoy.
  group "caller" {
    meta {
      mesh-upstreams = "web:9001"
    }

    network {
      mode = "bridge"
    }

    task "call" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "while sleep 1; do curl -s http://127.0.0.1:9001/; done"]
      }

      resources {
        cpu    = 20
        memory = 32
      }
    }
  }
}
