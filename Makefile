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

.PHONY: help build run test lint fmt sim sim-digest compare soak bench bench-types clean

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
	@set -e; for m in $(MODULES); do (cd $$m && $(GO) test -count 1 -timeout $(TIMEOUT) ./...); done
	$(GO) test $(RULES) ./storaged/engine -run TestRule -count 1 -timeout $(TIMEOUT)

lint: ## check formatting, vet, staticcheck
	@test -z "$$(gofmt -l .)" || { echo "not formatted (make fmt):"; gofmt -l .; exit 1; }
	@set -e; for m in $(MODULES); do (cd $$m && $(GO) vet ./... && $(GO) vet $(RULES) ./...); done
	@set -e; for m in $(MODULES); do (cd $$m && GOWORK=off $(LINT) ./...); done

fmt: ## format the code
	gofmt -w .

sim: ## run the simulator on SEEDS=1000 seeds
	cd tests && $(GO) test ./sim -run TestSeeds -seeds $(SEEDS) -timeout 0

sim-digest: ## compare all that happens in 2,000 runs with what was recorded; RECORD=1 records it anew
	cd tests && $(GO) test ./sim -run TestDigests -count 1 -timeout 0 $(if $(RECORD),-record-digests,-digests)

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
