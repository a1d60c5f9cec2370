# make help lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
PREFIX ?= /usr/local
FUZZTIME ?= 5s
RUNS ?= 10

.DEFAULT_GOAL := help
.PHONY: help build test race steady fuzz torture lint verify generate bench demo cross vuln install uninstall clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

build: ## build bin/vers-fleet, without what only debuggers read
	CGO_ENABLED=0 go build -trimpath -ldflags=-s -o bin/vers-fleet .

test: ## run all tests; installs what they need where it may
	@.ci/setup
	@.ci/test

race: ## run the tests under the race detector, the heavy ones shortened
	@.ci/test -race -short

steady: ## run the tests RUNS (10) times beside four busy loops
	@.ci/steady $(RUNS)

fuzz: ## fuzz every target for FUZZTIME (5s) each
	@.ci/fuzz $(FUZZTIME)

torture: ## run the tests at full size (kills, power cuts, floods); takes long
	@.ci/setup
	VERS_FLEET_TORTURE=1 .ci/test -timeout 3h -p 1

lint: ## run every linter
	@.ci/lint

verify: ## check that generated files and go.mod are in order
	@.ci/verify

generate: ## write man pages and reference from the command tree
	go run ./cmd/internal/gen

bench: ## measure against scp, sftp, rsync, rclone, tar and OpenSSH
	@.ci/setup
	go run ./cmd/internal/bench

demo: ## play the outage story on a simulated platform; VMS=sshd: on real OpenSSH
	@go run . demo --vms $(or $(VMS),box)

cross: ## compile and vet for other operating systems
	GOOS=linux GOARCH=arm64 go vet ./...
	GOOS=darwin GOARCH=arm64 go vet ./...
	GOOS=windows GOARCH=amd64 go vet ./...

vuln: ## look for known vulnerabilities (needs the network)
	go tool -modfile=.ci/tools/go.mod govulncheck ./...

install: build ## install binary, man pages and completions below PREFIX
	install -Dm755 bin/vers-fleet $(DESTDIR)$(PREFIX)/bin/vers-fleet
	install -Dm644 -t $(DESTDIR)$(PREFIX)/share/man/man1 docs/man/*.1
	install -Dm644 -t $(DESTDIR)$(PREFIX)/share/man/man7 docs/man/*.7
	install -Dm644 completions/vers-fleet.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/vers-fleet
	install -Dm644 completions/_vers-fleet $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_vers-fleet
	install -Dm644 completions/vers-fleet.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/vers-fleet.fish

uninstall: ## remove what install put there; configuration and keys stay
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/, bin/vers-fleet share/man/man1/vers-fleet.1 share/man/man1/vers-fleet-*.1 \
		share/man/man7/vers-fleet-*.7 share/bash-completion/completions/vers-fleet \
		share/zsh/site-functions/_vers-fleet share/fish/vendor_completions.d/vers-fleet.fish)

clean: ## remove what was built
	rm -rf bin
