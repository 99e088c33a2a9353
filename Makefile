# `make` or `make help` lists the targets.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# A hung test fails after this long, with every goroutine's stack.
TEST_TIMEOUT ?= 10m
# The race detector slows a test about tenfold.
RACE_TIMEOUT ?= 20m
RACE_PACKAGES ?= ./...
# SQLite is C translated to Go here, and some twenty times slower under the detector: too slow for the deadline of a write. A
# connection is one goroutine's at a time, and the driver, which sees to that, is watched: the translation alone goes
# without. Nothing that imports sync may: it would lend the others its unwatched copies of generic code, and every use
# of those would look like a race.
RACE_PLAIN ?= github.com/ncruces/go-sqlite3-wasm/...
RACE_FLAGS = -race -gcflags='$(RACE_PLAIN)=-race=false'
# With SQLite as well `make test` would take much longer: it races Postgres alone.
RACE_RUN ?= .
# 64 buyers at once outlast the write deadline when the detector slows them tenfold: `make test` runs those without it.
RACE_SKIP ?= ^$$
# All scenarios take less than 8 minutes on two cores.
FAULT_TIMEOUT ?= 20m
GO_FILES = git ls-files --cached --others --exclude-standard -- '*.go' ':!graph/generated'

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## start the server; set DATABASE_URL and REDIS_URL for servers of your own
	go run .

.PHONY: test
test: ## everything: servers, vet, tests, generated code, browser, faults, races
	scripts/servers
	go vet ./...
	go test -shuffle=on -timeout=$(TEST_TIMEOUT) ./...
	$(MAKE) verify
	$(MAKE) e2e
	$(MAKE) fault ARGS=-short
	$(MAKE) race RACE_PACKAGES='./models/... ./graph/... ./store/rediscache ./store/stockfeed ./store/stockfile'
	$(MAKE) race RACE_PACKAGES='./store ./store/database' RACE_RUN=/postgres RACE_SKIP='NeverOversold|OppositeCarts'

.PHONY: race
race: ## the tests under the race detector; RACE_PACKAGES names which
	@if cc=$$(go env CC); ! command -v "$${cc%% *}" >/dev/null; then \
		echo "race: skipped: the race detector needs a C compiler, and there is no $$cc (Debian: apt-get install gcc libc6-dev)"; \
	else \
		set -x; CGO_ENABLED=1 go test $(RACE_FLAGS) -short -p=1 -run='$(RACE_RUN)' -skip='$(RACE_SKIP)' -timeout=$(RACE_TIMEOUT) $(RACE_PACKAGES); \
	fi

.PHONY: races
races: ## all of it under the race detector: the tests, SQLite's too, the checkers of the fault suite, and every scenario
	$(MAKE) race
	cd faults && CGO_ENABLED=1 go test -race -count=1 -skip='^TestF[0-9]' -timeout=$(RACE_TIMEOUT) ./...
	$(MAKE) fault ARGS=-server-race

# A target that finds something leaves it in testdata/fuzz beside the test, where every later run tries it again:
# mend it, and put it among the target's seeds.
FUZZTIME ?= 10s
FUZZ_PARALLEL ?= 2
FUZZ ?= .
.PHONY: fuzz
fuzz: ## look for inputs that break a promise; FUZZTIME each (10s), FUZZ names the targets
	@git grep --untracked -Eo '^func Fuzz[A-Za-z0-9]*' -- '*_test.go' | sed 's|/[^/]*_test.go:func | |' | grep -E '$(FUZZ)' | while read -r package target; do \
		echo "$$package $$target"; \
		go test -run="^$$target$$" -fuzz="^$$target$$" -fuzztime=$(FUZZTIME) -parallel=$(FUZZ_PARALLEL) -timeout=$(TEST_TIMEOUT) "./$$package" || exit 1; \
	done

.PHONY: e2e
e2e: ## drive the real server with a real browser
	@if answer=$$(scripts/servers --browser); then \
		set -x; cd web/e2e && npm ci --no-audit --no-fund && CHROMIUM="$$answer" npm test; \
	else \
		echo "e2e: skipped: $$answer"; \
	fi

# ARGS go to go test: make fault ARGS='-run F07 -v -seed 12345'; faults/README.md says how scenarios are written.
.PHONY: fault
fault: ## kill, freeze and cut what the server depends on, under load, and prove that nothing is lost
	scripts/servers
	cd faults && go vet ./... && go test ./chance ./checker ./load ./model ./process ./wait && go test -count=1 -timeout=$(FAULT_TIMEOUT) . $(ARGS)

# It bounds its own time: ten minutes more than FOR.
FOR ?= 3m
.PHONY: soak
soak: ## minutes of load with a fault now and then; fails when memory, goroutines, files, connections or the outbox grow: make soak FOR=1h
	scripts/servers
	cd faults && go test -count=1 -timeout=0 -v -run='^TestSoak$$' -soak=$(FOR) . $(ARGS)

.PHONY: replay
replay: ## replay recorded traffic: make replay FILE=path
	@[[ -n "$(FILE)" ]] || { echo "usage: make replay FILE=path"; exit 2; }
	go run ./bench/replay --file "$(FILE)"

# ARGS go to the program: make bench ARGS='--quick --row "hot 512"'; go run ./bench/groupcommit --help lists them.
.PHONY: bench
bench: ## measure reservations beside their floors, on servers of its own; ARGS=--quick for a first look
	go run ./bench/groupcommit $(ARGS)

# make alternate BEFORE=/tmp/before AFTER=/tmp/after ARGS='--workload carts'; go run ./bench/alternate --help lists them.
.PHONY: alternate
alternate: ## compare two builds of the server in alternating rounds, over GraphQL and HTTP: BEFORE and AFTER name them
	@[[ -n "$(BEFORE)" && -n "$(AFTER)" ]] || { echo "usage: make alternate BEFORE=path AFTER=path"; exit 2; }
	go run ./bench/alternate --before "$(BEFORE)" --after "$(AFTER)" $(ARGS)

.PHONY: generate
generate: ## write graph/generated anew from the schema
	go run github.com/99designs/gqlgen generate

# Compared with what was there before, not with the last commit, so that it also serves a tree with work in it.
.PHONY: verify
verify: ## fail when graph/generated is not what the schema gives
	@before=$$(mktemp -d); trap 'rm -rf "$$before"' EXIT; \
	cp -R graph/generated "$$before/" && $(MAKE) generate || exit 1; \
	diff -r -u "$$before/generated" graph/generated || \
		{ echo "verify: graph/generated had drifted from the schema; it is right now: commit it"; exit 1; }

.PHONY: fmt
fmt: ## format the Go code
	@$(GO_FILES) | xargs gofmt -w

.PHONY: lint
lint: ## check format and vet
	@unformatted=$$($(GO_FILES) | xargs gofmt -l); \
	[[ -z "$$unformatted" ]] || { echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; }
	go vet ./...
