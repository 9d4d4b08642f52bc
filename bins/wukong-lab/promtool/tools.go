//go:build tools

// Package promtool names what the tests of the alerts build, so that `go mod tidy` keeps it.
package promtool

import _ "github.com/prometheus/prometheus/cmd/promtool"
