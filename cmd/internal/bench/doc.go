// Command bench measures vers-fleet against the tools that people would use
// instead: scp, sftp, rsync, rclone, tar through ssh, and a walk over SFTP that
// fetches one file after the other. All of them reach the same real OpenSSH
// sshd on loopback, through a TLS 1.3 gateway with SNI as on the platform, at
// a distance made by package wan.
//
//	go run ./cmd/internal/bench [-suite pull,push] [-bashrc 75ms] [-data B] [-rtt 80ms] [-runs 3] [-quick]
//
// Contestants take turns within each round, so that whatever else the machine
// does hits all of them. What arrives is compared with what was on the VM. A
// contestant that fails or is missing is reported and the rest goes on. The
// answer is Markdown on stdout; docs/performance.md explains it.
//
// It never measures against a network or an account, and leaves nothing behind.
package main
