//go:build tools

// Package cyclonus names what the test of the NetworkPolicies builds, so that `go mod tidy` keeps it. The libraries of
// Kubernetes are at the version of the control plane: the build cache has those compiled.
package cyclonus

import _ "github.com/mattfenwick/cyclonus/cmd/cyclonus"
