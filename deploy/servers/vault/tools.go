//go:build tools

// Package tools pins the server that deploy/servers/build.py builds; nothing here is ever compiled by itself.
package tools

import _ "github.com/hashicorp/vault"
