# `make test` is the one command: it runs every step below, prints the seconds
# that each took, and ends with what was skipped. With CI set in the
# environment a skipped test is a failure. It needs Go, git, make and a C
# compiler (for the race detector); on Debian it installs the servers that the
# tests start.

PKG      ?= ./...
TIMEOUT  ?= 15m
COUNT    ?= 5
FUZZTIME ?= 15s
SOAKTIME ?= 60s
CHECKS   ?= 5000
SEEDS    ?= 600

STEPS := servers fmt vet staticcheck gosec paths tidy build unit sim planted unit-tools examples

# An owner of the checkout other than the user is common in CI, and Go and git
# would both refuse it.
export GOFLAGS += -buildvcs=false
GIT := git -c safe.directory='*'

.PHONY: help test lint tools axe browser $(STEPS) bench microbench fuzz soak demo clean

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

test: tools ## everything that must pass before a merge
	@bin/steps $(MAKE) $(STEPS)

lint: fmt vet staticcheck gosec paths ## the checks that run no test

# Go's build cache knows better than make whether these are up to date: it
# also notices a new Go.
tools:
	@go -C test build -o ../bin/ ./cmd/... honnef.co/go/tools/cmd/staticcheck
	@go -C test/lint build -o ../../bin/gosec .

servers: ## the servers that tests start: Debian's as far as they are missing, the others built
	@scripts/install-servers
	@go -C test/servers/consul build -o ../../../bin/ github.com/hashicorp/consul
	@go -C test/servers/ferretdb build -o ../../../bin/ .

fmt: ## gofmt has nothing to change
	@files=$$(gofmt -s -l .) && test -z "$$files" || { echo "run gofmt -s -w on:"; echo "$$files"; exit 1; }

vet: ## go vet
	@go vet ./...
	@go vet -tags planted ./failover
	@go -C test vet ./...

staticcheck: tools ## staticcheck with all checks, pinned in test/go.mod
	@bin/staticcheck -checks all ./...
	@bin/staticcheck -checks all -tags planted ./failover
	@cd test && ../bin/staticcheck -checks all ./...

# All rules. What is left out, and why, is in test/lint; an exception stands in
# its line. Findings are cached as those of vet are.
gosec: tools ## gosec finds no security fault; pinned in test/lint/go.mod
	@go vet -vettool=$(CURDIR)/bin/gosec ./...
	@go vet -vettool=$(CURDIR)/bin/gosec -tags planted ./failover
	@cd test && go vet -vettool=$(CURDIR)/bin/gosec ./...

# Paths of the machine a file was written on, and hosts that packages are
# fetched from. The brackets keep the pattern from finding itself. git grep
# answers 1 for "nothing found" and more for a fault.
paths: ## no tracked file names a machine's path or a registry's host
	@$(GIT) grep -nIE '(^|[^[:alnum:]_.])(/wor[k]/|/roo[t]/|/hom[e]/[a-z]|/tm[p]/[[:alnum:]])|(proxy|sum)[.]golang[.]org|registry[.](npmjs|yarnpkg)|[.]debian[.]org/debian'; \
	case $$? in 1) ;; 0) echo "the lines above name a machine's path or a registry's host"; exit 1;; *) exit 1;; esac

tidy: ## go.mod and go.sum say what the code needs, and the downloads are genuine
	@go mod tidy -diff
	@set -e; for module in test test/lint test/servers/*/; do go -C $$module mod tidy -diff; done
	@go mod verify

build: ## every package compiles
	@go build -o /dev/null ./...
	@go -C test build -o /dev/null ./...

unit: tools ## all tests of the library, with -race; PKG=./breaker narrows it
	@bin/gotest -race -timeout $(TIMEOUT) $(PKG)

sim: tools ## the simulation of failover, SEEDS=600 of each scenario, without -race
	@HOLDFAST_SEEDS=$(SEEDS) bin/gotest -timeout $(TIMEOUT) -run TestSimulation ./failover

planted: tools ## each bug planted in failover, until the same simulation catches it
	@bin/gotest -tags planted -timeout $(TIMEOUT) -run TestPlanted ./failover

# axe-core is pinned by test/browser/package-lock.json, and kept out of the
# checkout. Without npm its tests are skipped and say so.
AXE := .cache/browser
axe:
	@mkdir -p $(AXE) && cp test/browser/package.json test/browser/package-lock.json $(AXE)
	@! command -v npm >/dev/null || test -e $(AXE)/node_modules/axe-core/axe.min.js -a ! $(AXE)/package-lock.json -nt $(AXE)/node_modules || \
		npm --prefix $(AXE) ci --ignore-scripts --no-audit --no-fund --silent

browser: tools axe ## the status page in Chromium, with axe-core; unit-tools runs it too
	@cd test && ../bin/gotest -race -timeout $(TIMEOUT) ./browser

unit-tools: tools axe ## all tests of the module in test/
	@cd test && ../bin/gotest -race -timeout $(TIMEOUT) ./...

# An example ends by itself. ARGS_<name> holds what it needs to do so soon.
ARGS_failover := -duration 5s
ARGS_observability := -duration 6s -http 127.0.0.1:0
examples: ## run every program under examples/
	@set -e; $(foreach dir,$(patsubst %/main.go,%,$(wildcard examples/*/main.go)),\
		echo "== $(dir)"; timeout 120 go run ./$(dir) $(ARGS_$(notdir $(dir)));) :

demo: ## take a store away under load and watch the group go on; ARGS='-http 127.0.0.1:8080' shows a live page
	@go run ./examples/failover $(ARGS)

bench: ## what Holdfast costs beside other ways, into docs/benchmarks.md and README.md; BENCH=quick takes seconds and prints
	@go -C test build -o ../bin/ ./bench
	@bin/bench $(if $(filter quick,$(BENCH)),-quick)

microbench: ## every Go benchmark; COUNT=5 runs each
	@go test -run '^$$' -bench . -benchmem -count $(COUNT) \
		$$(grep -rl --include='*_test.go' --exclude-dir=test '^func Benchmark' . | xargs -r -n1 dirname | sort -u)

fuzz: ## every fuzz target for FUZZTIME=15s; FUZZ=Classify narrows it; ends with a RESULT line
	@FUZZTIME=$(FUZZTIME) FUZZ='$(FUZZ)' scripts/fuzz

soak: tools ## the demo, the chaos of servers and the search for leaks for SOAKTIME=60s each, 600 kills, 5 times SEEDS, model tests with CHECKS=5000
	@go run ./examples/failover -duration $(SOAKTIME)
	@HOLDFAST_CHAOS=$(SOAKTIME:s=) HOLDFAST_CHAOS_CLIENTS=48 bin/gotest -timeout 60m -count=1 -run 'TestChaos' ./backends
	@HOLDFAST_SOAK=$(SOAKTIME:s=) HOLDFAST_SOAK_CLIENTS=12 bin/gotest -timeout 60m -count=1 -run 'TestSoak' ./backends
	@HOLDFAST_KILLS=600 bin/gotest -timeout 60m -count=1 -run 'TestKilled|TestNoLossOfPower' ./failover/boltjournal
	@HOLDFAST_SEED=1000000 HOLDFAST_SEEDS=$$((5 * $(SEEDS))) bin/gotest -timeout 60m -run TestSimulation ./failover
	@go test -race -count=1 -timeout 60m -run 'Agrees|NeverReads' ./breaker ./resilient ./failover -rapid.checks=$(CHECKS)

clean: ## remove what make has made
	@rm -rf bin .cache
