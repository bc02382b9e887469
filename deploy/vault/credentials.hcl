# mesh-adapter start --credentials vault:secret/mesh: reads secrets below secret/mesh of a KV engine of version 2.
# With another mount or prefix, change both here.
path "secret/metadata/mesh/*" {
  capabilities = ["list", "read"]
}
path "secret/data/mesh/*" {
  capabilities = ["read"]
}
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
