# `make` or `make help` lists the targets.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# Everything is built as the image is (Containerfile), so that one build cache serves all.
export CGO_ENABLED = 0
export GOFLAGS += -trimpath

# A test that hangs fails after this time and prints the stack of every goroutine.
TEST_TIMEOUT ?= 10m
# How many packages are tested at once. Tests with servers wait more than they compute: two cores are idle half of the time
# with two packages.
TEST_PACKAGES ?= 3
# All scenarios take 16 minutes on two cores, beside other work.
FAULT_TIMEOUT ?= 40m
# The race detector makes a test about ten times slower.
RACE_TIMEOUT ?= 20m
RACE_PACKAGES ?= ./...
# Code that is compiled without the race detector. The SQLite driver runs C code that was translated to Go; under the
# detector it is twenty times slower and misses the deadlines of writes. One goroutine at a time uses a connection, and
# the driver, which guarantees that, stays under the detector. Do not add a package that imports sync: other packages
# would share its uninstrumented copies of generic functions, and the detector would report false races.
RACE_PLAIN ?= github.com/ncruces/go-sqlite3-wasm/...
RACE_FLAGS = -race -gcflags='$(RACE_PLAIN)=-race=false'
# Which tests the race target runs, and which it leaves out; both are patterns of go test.
RACE_RUN ?= .
RACE_SKIP ?= ^$$
# The packages whose tests run on both databases. `make test` races them on Postgres only, because SQLite takes too long,
# and without the tests of 64 concurrent buyers, which miss the write deadline under the detector. `make test-all` runs
# them on both.
RACE_DATABASE = go list -f '{{.ImportPath}} {{join .TestImports " "}} {{join .XTestImports " "}}' ./store/... | \
	grep -E '^onhand/store(/database[^ ]*)? |/storetest/fixture' | cut -d ' ' -f 1
RACE_DATABASE_SKIP = NeverOversold|OppositeCarts
RACE_OTHERS = go list ./models/... ./graph/... ./store/... | grep -v /storetest | grep -vxFf <($(RACE_DATABASE))

FUZZTIME ?= 10s
FUZZ_PARALLEL ?= 2
# Of an input of 1 KB, the default of a minute tries half a million parts, for each input that reaches new code.
FUZZ_MINIMIZE ?= 1000x
FUZZ ?= .
# The systems that the binary is built for.
PLATFORMS ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64

GO_FILES = git ls-files --cached --others --exclude-standard -- '*.go' ':!graph/generated'

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## start the server; DATABASE_URL and REDIS_URL name other servers than the embedded ones
	go run .

.PHONY: test
test: ## the tests of every change (13 minutes on two cores): format, vet, staticcheck, tests, generated code, browser, short faults, races
	scripts/servers
	$(MAKE) lint
	go test -shuffle=on -p=$(TEST_PACKAGES) -timeout=$(TEST_TIMEOUT) ./...
	$(MAKE) verify
	$(MAKE) verify-board
	$(MAKE) compose
	$(MAKE) e2e
	$(MAKE) examples
	$(MAKE) fault ARGS=-short
	$(MAKE) race RACE_PACKAGES="$$($(RACE_OTHERS) | paste -sd ' ' -)"
	$(MAKE) race RACE_PACKAGES="$$($(RACE_DATABASE) | paste -sd ' ' -)" RACE_RUN=/postgres RACE_SKIP='$(RACE_DATABASE_SKIP)'

.PHONY: test-all
test-all: ## make test and what takes long: every fault scenario, every race, fuzzing, the builds for all systems
	$(MAKE) test
	$(MAKE) gateway
	$(MAKE) cross
	$(MAKE) schema
	$(MAKE) storefront
	$(MAKE) binaries
	$(MAKE) manifests
	$(MAKE) engines
	$(MAKE) image
	$(MAKE) containers
	$(MAKE) walk
	$(MAKE) test-near-cache-off
	$(MAKE) test-compiled-off
	$(MAKE) board-load
	$(MAKE) fault
	$(MAKE) races
	$(MAKE) fuzz

.PHONY: test-near-cache-off
test-near-cache-off: ## the tests again, without a near cache
	NEAR_CACHE_BYTES=0 go test -timeout=$(TEST_TIMEOUT) ./...

.PHONY: test-compiled-off
test-compiled-off: ## the tests of the API again, answered by gqlgen's executor
	COMPILED_READS=off go test -timeout=$(TEST_TIMEOUT) . ./graph/... ./cli/...

.PHONY: lint
lint: ## check the format, and run vet and staticcheck, in the module of the faults too
	@unformatted=$$($(GO_FILES) | xargs gofmt -l); \
	[[ -z "$$unformatted" ]] || { echo "not formatted (run make fmt):"; echo "$$unformatted"; exit 1; }
	go vet ./...
	cd faults && go vet ./...
	cd examples/orderservice && go vet ./...
	go tool staticcheck ./...
	staticcheck=$$(go tool -n staticcheck) && cd faults && "$$staticcheck" ./... && cd ../examples/orderservice && "$$staticcheck" ./...

.PHONY: fmt
fmt: ## format the Go code
	@$(GO_FILES) | xargs gofmt -w

# The profile has one line for each block and test binary; a block counts as covered when one test binary runs it.
COVER_TESTS ?= ./...
.PHONY: cover
cover: ## run the tests and print the coverage of each package by the tests of all packages
	@packages=$$(go list ./... | grep -Ev '/(generated|storetest)$$|/bench/' | paste -sd , -); \
	go test -timeout=$(TEST_TIMEOUT) -coverpkg="$$packages" -coverprofile=coverage.out $(COVER_TESTS) >/dev/null || { echo "cover: a test failed; run make test"; exit 1; }
	@awk 'NR > 1 { statements[$$1] = $$2; if ($$3 > 0) covered[$$1] = 1 } \
		END { for (block in statements) { package = block; sub(/\/[^\/]*$$/, "", package); all[package] += statements[block]; \
			if (block in covered) hit[package] += statements[block] } \
		for (package in all) printf "%6.1f %%  %s\n", 100 * hit[package] / all[package], package }' coverage.out | sort -k3

# The typed operations are written again first: they may not differ from what the schema gives.
.PHONY: examples
examples: ## test the examples against the server
	cd examples/orderservice && before=$$(cat client/client.go) && go generate ./client && [[ "$$before" == "$$(cat client/client.go)" ]] || \
		{ echo "examples: client/client.go was out of date; it is right now: commit it"; exit 1; }
	cd examples/orderservice && go test -count=1 -timeout=$(TEST_TIMEOUT) ./...

.PHONY: storefront
storefront: ## build the example of a storefront, and drive it in a browser
	@if answer=$$(scripts/servers --browser); then \
		set -x; cd examples/storefront && npm ci --no-audit --no-fund && CHROMIUM="$$answer" npm test; \
	else \
		echo "storefront: skipped: $$answer"; \
	fi

BASE ?=
.PHONY: schema
schema: ## check the schema with linters, and for breaking changes since the last release, or since BASE
	@if command -v npm >/dev/null; then \
		set -x; cd graph/schema/lint && npm ci --no-audit --no-fund && npm test && node diff.js $(BASE); \
	else \
		echo "schema: skipped: npm is missing (Debian: apt-get install npm)"; \
	fi

.PHONY: race
race: ## run the tests under the race detector; RACE_PACKAGES names the packages
	@if cc=$$(go env CC); ! command -v "$${cc%% *}" >/dev/null; then \
		echo "race: skipped: the race detector needs a C compiler, and $$cc is missing (Debian: apt-get install gcc libc6-dev)"; \
	else \
		set -x; CGO_ENABLED=1 go test $(RACE_FLAGS) -short -p=1 -run='$(RACE_RUN)' -skip='$(RACE_SKIP)' -timeout=$(RACE_TIMEOUT) $(RACE_PACKAGES); \
	fi

.PHONY: races
races: ## run everything under the race detector: all tests, the checkers of the faults, every scenario
	$(MAKE) race
	cd faults && CGO_ENABLED=1 go test -race -count=1 -skip='^TestF[0-9]' -timeout=$(RACE_TIMEOUT) ./...
	$(MAKE) fault ARGS=-server-race

# A target that finds an input leaves it in testdata/fuzz beside the test, and every later run tries it again. Fix the
# code, and add the input to the seeds of the target.
.PHONY: fuzz
fuzz: ## search for inputs that break an invariant, FUZZTIME (10s) for each target; FUZZ selects targets
	@git grep --untracked -Eo '^func Fuzz[A-Za-z0-9]*' -- '*_test.go' | sed 's|/[^/]*_test.go:func | |' | grep -E '$(FUZZ)' | while read -r package target; do \
		echo "$$package $$target"; \
		go test -run="^$$target$$" -fuzz="^$$target$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=$(FUZZ_MINIMIZE) -parallel=$(FUZZ_PARALLEL) -timeout=$(TEST_TIMEOUT) "./$$package" || exit 1; \
	done

.PHONY: cross
cross: ## build the binary for Linux, macOS and Windows on amd64 and arm64
	@for platform in $(PLATFORMS); do \
		echo "$$platform"; \
		CGO_ENABLED=0 GOOS="$${platform%/*}" GOARCH="$${platform#*/}" go build -o /dev/null . || exit 1; \
	done

.PHONY: binaries
binaries: ## build the released binaries of two systems (.goreleaser.yaml), and check and run them
	go test -count=1 -v -run='^TestRelease' . -binaries

.PHONY: image
image: ## make the image with podman, where it is, and run a container
	go test -count=1 -v -run='^TestImage$$' . -image

# An engine is started where none runs. Compose is built where Docker has none: two minutes; the image: three.
.PHONY: containers
containers: ## run compose.yaml with Docker, where it is: all of it, a new version, a restart of the database
	cd deploy/containers && go vet . && go test -count=1 -v -timeout=30m .

# The programs that read these files are dependencies of a module of their own. The first run compiles them: three minutes.
.PHONY: manifests
manifests: ## check the Kubernetes files, the Helm chart and .goreleaser.yaml with the programs that read them
	cd deploy/validate && go vet . && go test -count=1 .

# The first run compiles the parsers: two minutes. The statements are collected by tests that take four.
.PHONY: engines
engines: ## check the SQL with the parsers of Postgres and CockroachDB, and against the table of docs/scaling.md
	scripts/servers
	cd deploy/engines && go vet . && go test -count=1 -timeout=$(TEST_TIMEOUT) -collect .

# Nothing is compiled before, so the first command takes minutes; with ARGS=-compiled it takes seconds.
.PHONY: walk
walk: ## follow every guide on a fresh clone as a newcomer does, command by command, and print how long it takes
	scripts/servers
	go test -count=1 -v -timeout=30m -run='^TestWalk$$' . -walk $(ARGS)

.PHONY: dependencies
dependencies: ## list the modules of the binary (sbom.json), and check them for known vulnerabilities
	scripts/dependencies

.PHONY: e2e
e2e: ## drive the real server with a real browser, and with the caches that clients use
	@if answer=$$(scripts/servers --browser); then \
		set -x; (cd web/e2e && npm ci --no-audit --no-fund && CHROMIUM="$$answer" npm test) && \
			cd web/caches && npm ci --no-audit --no-fund && npm test; \
	else \
		echo "e2e: skipped: $$answer"; \
	fi

.PHONY: board-load
board-load: ## scroll 10,000 products on the live board while 200 changes arrive each second, and 100,000 of a large shop; fails on a task over 50 ms
	@if answer=$$(scripts/servers --browser); then \
		set -x; cd web/e2e && npm ci --no-audit --no-fund && CHROMIUM="$$answer" npm run load; \
	else \
		echo "board-load: skipped: $$answer"; \
	fi

.PHONY: board
board: ## build web/board/dist, which the binary embeds, from web/board
	cd web/board && npm ci --no-audit --no-fund && npm run build

# Vite needs a newer Node.js than the tests do.
BOARD_NODE = command -v npm >/dev/null && node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'
.PHONY: verify-board
verify-board: ## fail when web/board/dist differs from what web/board gives
	@if $(BOARD_NODE); then \
		built=$$(mktemp -d); trap 'rm -rf "$$built"' EXIT; \
		(cd web/board && npm ci --no-audit --no-fund && BOARD_OUT="$$built" npm run build) || exit 1; \
		diff -r "$$built/dist" web/board/dist && diff "$$built/documents.json" web/board/documents.json && diff "$$built/NOTICES.board.txt" web/third_party/NOTICES.board.txt || \
			{ echo "verify-board: web/board/dist is out of date: run make board, and commit it"; exit 1; }; \
	else \
		echo "verify-board: skipped: no Node.js 20.19 or newer with npm"; \
	fi

.PHONY: compose
compose: ## compose the subgraph with those of other teams, with the libraries of Apollo and The Guild
	@if command -v npm >/dev/null; then \
		set -x; cd web/federation && npm ci --no-audit --no-fund && npm test; \
	else \
		echo "compose: skipped: no Node.js with npm"; \
	fi

.PHONY: gateway
gateway: ## query and watch the subgraph beside a catalogue through real gateways, with the near cache and without
	@if command -v npm >/dev/null; then \
		set -x; cd web/gateway && npm ci --no-audit --no-fund && npm test && NEAR_CACHE_BYTES=0 npm test -- gateway.test.js; \
	else \
		echo "gateway: skipped: no Node.js with npm"; \
	fi

# ARGS are arguments of go test: make fault ARGS='-run F07 -v -seed 12345'. See faults/README.md.
.PHONY: fault
fault: ## kill, freeze and disconnect the dependencies of the server under load, and check that nothing is lost
	scripts/servers
	cd faults && go test ./chance ./checker ./load ./model ./network ./process ./wait && go test -count=1 -timeout=$(FAULT_TIMEOUT) . $(ARGS)

# The test bounds its own time: FOR and ten minutes.
FOR ?= 3m
.PHONY: soak
soak: ## load with a fault now and then, for FOR (3m); fails when memory, goroutines, files, connections or the outbox grow
	scripts/servers
	cd faults && go test -count=1 -timeout=0 -v -run='^TestSoak$$' -soak=$(FOR) . $(ARGS)

.PHONY: replay
replay: ## replay recorded traffic: make replay FILE=path
	@[[ -n "$(FILE)" ]] || { echo "usage: make replay FILE=path"; exit 2; }
	go run ./bench/replay --file "$(FILE)"

# ARGS are arguments of the programs: make bench BENCH=groupcommit ARGS='--quick --row "hot 512"'; `go run ./bench/reads --help` lists them.
BENCH ?= groupcommit reads streams
.PHONY: bench
bench: ## measure writes and reads beside their floors, on servers of its own; ARGS=--quick for a first look
	for program in $(BENCH); do go run ./bench/$$program $(ARGS); done

# make scale ARGS='--table "^changes"'; `go run ./bench/scale --help` lists the arguments.
.PHONY: scale
scale: ## measure how costs grow, and write the tables and pictures of docs/scaling.md; ARGS=--quick for a first look
	go run ./bench/scale $(ARGS)

# make alternate BEFORE=path AFTER=path ARGS='--workload carts'; `go run ./bench/alternate --help` lists the arguments.
.PHONY: alternate
alternate: ## compare two builds of the server, BEFORE and AFTER, in alternating rounds over GraphQL and HTTP
	@[[ -n "$(BEFORE)" && -n "$(AFTER)" ]] || { echo "usage: make alternate BEFORE=path AFTER=path"; exit 2; }
	go run ./bench/alternate --before "$(BEFORE)" --after "$(AFTER)" $(ARGS)

.PHONY: generate
generate: ## write graph/generated and docs/api.md from the schema, and docs/settings.md from the flags
	go run github.com/99designs/gqlgen generate
	cd examples/orderservice && go generate ./client
	go test -count=1 -run='^TestAPIReference$$' . -update
	go test -count=1 -run='^TestSettingsPage$$' ./cli -update

# The result is compared with the files that were there before, not with the last commit, so that the target also works
# in a tree with uncommitted changes.
.PHONY: verify
verify: ## fail when graph/generated differs from what the schema gives
	@before=$$(mktemp -d); trap 'rm -rf "$$before"' EXIT; \
	cp -R graph/generated "$$before/" && $(MAKE) generate || exit 1; \
	diff -r -u "$$before/generated" graph/generated || \
		{ echo "verify: graph/generated was out of date; it is right now: commit it"; exit 1; }
