//go:build tools

// Package controlplane names what the lab builds, so that `go mod tidy` keeps it.
package controlplane

import _ "go.etcd.io/etcd/server/v3"
