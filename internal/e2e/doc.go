// Package e2e drives the whole program as its users do: with newman and with a real browser. Its tests need the build tag
// e2e, Chromium and newman; .ci/run installs both and runs them.
package e2e
