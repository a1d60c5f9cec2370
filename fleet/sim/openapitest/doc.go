// Package openapitest holds requests and answers against a description of the
// Vers API, vers-api.yaml, so that neither client nor simulator drifts from it
// or from the other. It is for tests only. The description is this project's
// own and stands in the tree; what the platform publishes is compared with it
// where that document is present (published_test.go), and nothing else depends
// on it.
package openapitest
