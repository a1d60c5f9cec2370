// Package openapitest checks requests and answers against the published
// OpenAPI document, so that neither the client nor the simulator drifts from
// it. It is for tests only. The document is not part of this repository: where
// it is absent, the tests that need it are skipped, visibly.
//
// The document is taken as published, with one repair: it declares some
// parameters as part of a path that has no place for them (limit and offset of
// /commits), and forgets others. They are read as what the service takes them
// for, query parameters and path parameters.
package openapitest
