// Package lint holds the rules of the code base that no ready linter expresses,
// as tests over the syntax trees: no package-level variables, no init
// functions, no matching on an error's text, no file or function too long,
// seeds for every fuzz target, every package documented. Import directions are
// depguard's (.depguard.yml); printing and exiting are forbidigo's, and what
// nothing calls is deadcode's (.ci/lint).
package lint
