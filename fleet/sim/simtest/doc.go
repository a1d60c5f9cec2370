// Package simtest starts simulated platforms for tests, so that each test says
// only what is particular about its own. It owns the rule for machines that
// lack something: what can be installed must be there under CI=true, else the
// test is left out. VERS_FLEET_TEST_VMS=sshd runs the tests that work on both
// kinds of VM on real OpenSSH servers. It is for tests only.
package simtest
