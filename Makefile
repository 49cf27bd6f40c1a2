# make help lists the targets.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT  ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
LDFLAGS := -X synod/tools/program.version=$(VERSION) -X synod/tools/program.commit=$(COMMIT)

# Each module is built by itself: a workspace would mix their dependencies.
GO      := GOWORK=off go
BUILD    = $(GO) build -ldflags "$(LDFLAGS)" -o $(CURDIR)/bin/
MODULES := . tools/synod tests

LINT    := go tool -modfile=$(CURDIR)/tools/lint/go.mod staticcheck
# Safety rules can be turned off, to show that tests notice, in builds with this
# tag only.
RULES   := -tags invariants
SEEDS   ?= 1000
COMMANDS ?= 100000
TIMEOUT ?= 40m
SIZE    ?= full
FOR     ?= 10m
TIME    ?= 30s

.PHONY: help build run test race fuzz cover lint fmt sim sim-digest compare soak bench bench-types clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 14

build: ## build the four programs into bin/
	@mkdir -p bin
	$(BUILD) ./storaged/cmd/synod-storaged ./proxy/cmd/synod-proxy ./tools/synodctl
	cd tools/synod && $(BUILD) .

run: build ## start a whole cluster on loopback, data in ./data
	@exec bin/synod

# Some tests build the programs and run them: go's cache of results would not
# notice that these have changed.
test: build ## build everything and run all tests
	@set -e; for m in . tools/synod; do (cd $$m && $(GO) test -count 1 -timeout $(TIMEOUT) ./...); done
	$(GO) test $(RULES) ./storaged/engine -run TestRule -count 1 -timeout $(TIMEOUT)
	cd tests && $(GO) test $(RULES) ./... -count 1 -timeout $(TIMEOUT)

# Pure functions have no races. What the pattern skips assumes more speed than the
# race detector leaves, or repeats the same thing for minutes.
RACE      ?= ./protocol/... ./storaged ./proxy/...
RACE_PURE  = /proxy/command|/proxy/datatype|/protocol/wire|/protocol/register|/protocol/resp
RACE_SKIP  = Large|PipelineWithoutRead|RepliesAreTheirOwn|Damage|Crash|Ballast

race: ## run the race detector on the packages RACE=./proxy/..., and on a cluster that is killed and frozen
	$(GO) test -race -count 1 -timeout $(TIMEOUT) -skip '$(RACE_SKIP)' $$($(GO) list $(RACE) | grep -Ev '$(RACE_PURE)')
	@mkdir -p bin/race
	$(GO) build -race -o bin/race/ ./storaged/cmd/synod-storaged ./proxy/cmd/synod-proxy ./tools/synodctl
	cd tools/synod && $(GO) build -race -o $(CURDIR)/bin/race/ .
	cd tests && SYNOD_BIN=$(CURDIR)/bin/race $(GO) test ./process -run 'TestKillAndFreeze$$' -count 1 -timeout $(TIMEOUT)

# go fuzzes one function of one package at a time.
fuzz: ## run each Fuzz function of all modules for TIME=30s
	@set -e; for m in $(MODULES); do (cd $$m && for dir in $$($(GO) list -f '{{.Dir}}' ./...); do \
		for f in $$(cat $$dir/*_test.go 2>/dev/null | sed -n 's/^func \(Fuzz[A-Za-z0-9]*\)(.*/\1/p'); do \
			echo "$${dir#$(CURDIR)/} $$f"; $(GO) test $$dir -run '^$$' -fuzz "^$$f$$" -fuzztime $(TIME); \
		done; done); done

cover: ## measure which statements the root module's tests reach: bin/cover.html
	@mkdir -p bin
	$(GO) test -count 1 -timeout $(TIMEOUT) -coverpkg ./... -coverprofile bin/cover.out ./... | sed 's/coverage:.*//'
	@$(GO) tool cover -html bin/cover.out -o bin/cover.html
	@$(GO) tool cover -func bin/cover.out | tail -1

lint: ## check formatting, vet, staticcheck
	@test -z "$$(gofmt -l .)" || { echo "not formatted (make fmt):"; gofmt -l .; exit 1; }
	@set -e; for m in $(MODULES); do (cd $$m && $(GO) vet ./... && $(GO) vet $(RULES) ./...); done
	@set -e; for m in $(MODULES); do (cd $$m && GOWORK=off $(LINT) ./...); done

fmt: ## format the code
	gofmt -w .

sim: ## run the simulator on SEEDS=1000 seeds
	cd tests && $(GO) test $(RULES) ./sim -run TestSeeds -seeds $(SEEDS) -timeout 0

sim-digest: ## compare all that happens in 2,000 runs with what was recorded; RECORD=1 records it anew
	cd tests && $(GO) test $(RULES) ./sim -run TestDigests -count 1 -timeout 0 $(if $(RECORD),-record-digests,-digests)

compare: build ## compare with Redis: COMMANDS=100000 on a cluster, three times as many on the functions
	$(GO) test ./proxy/command -run TestGenerated -count 1 -timeout 0 -v -generated $$((3 * $(COMMANDS))) -generated-seed 1001
	cd tests && SYNOD_BIN=$(CURDIR)/bin $(GO) test ./differential -run 'TestSame$$' -count 1 -timeout 0 -v -commands $(COMMANDS) -seed 1001

soak: build ## try everything on one cluster for FOR=10m, beside clients that are checked
	cd tests && SYNOD_BIN=$(CURDIR)/bin $(GO) test ./process -run 'TestSoak$$' -count 1 -timeout 0 -v -soak $(FOR)

bench: build ## measure against Redis and etcd; SIZE=brief takes a minute
	cd tests/bench && SYNOD_BIN=$(CURDIR)/bin $(GO) test -run TestBenchmark -count 1 -timeout 0 \
		-measure $(SIZE) -out $(CURDIR)/bin/bench.md $(BENCH)

bench-types: build ## measure commands on collections of 10 to 1,000,000 elements; SIZE=brief takes a minute
	cd tests/bench && SYNOD_BIN=$(CURDIR)/bin $(GO) test -run TestTypes -count 1 -timeout 0 \
		-measure $(SIZE) -out $(CURDIR)/bin/bench-types.md $(BENCH)

clean: ## remove what was built, not the data
	rm -rf bin
