//go:build tools

// Package helm names what the tests of the chart build, so that `go mod tidy` keeps it.
package helm

import _ "helm.sh/helm/v4/cmd/helm"
