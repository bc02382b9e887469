# mesh-adapter: has leaves of the mesh signed by the role mesh-adapter, and sees who signs.
path "mesh-pki/issuer/+/sign/mesh-adapter" {
  capabilities = ["update"]
}
path "mesh-pki/issuer/+" {
  capabilities = ["read"]
}
path "mesh-pki/issuers" {
  capabilities = ["list"]
}
path "mesh-pki/config/issuers" {
  capabilities = ["read"]
}
path "mesh-pki/roles/mesh-adapter" {
  capabilities = ["read"]
}
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
