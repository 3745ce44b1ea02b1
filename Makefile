# Everything that is done with this repository. `make` lists the targets.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Where built files go. Nothing else in the tree is written, except by `go test -update`.
BUILD_DIR ?= build
# What `attache version` and attache_build_info show.
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
REVISION  ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
# How long each fuzz target runs.
FUZZTIME  ?= 30s
# Arguments of `make interop`: INTEROP="-run TestGRPC". UPDATE=1 writes docs/conformance.md and the
# copies of the alerting rules.
INTEROP   ?=
# Arguments of `make demo`, `make bench`, `make scale`, `make chaos` and `make simulate`: ARGS="--for 30s", ARGS="--quick",
# ARGS="-sim.seed 7".
ARGS      ?=
export UPDATE

# Without inlining (-l) the binary is 350 KB smaller. The list has the packages that no request passes through:
# certificates, Redis, the command line, YAML, emulated vendors, and protobuf and text formats, which only a scrape needs.
# What runs for requests (metrics, JSON, the engine) and the standard library are compiled as ever. Functions that begin
# at multiples of 16 bytes instead of 32 save another 160 KB. The Dockerfile has the same line, and internal/archtest
# compares the two.
GO_BUILD = CGO_ENABLED=0 go build -buildvcs=false -trimpath \
	-gcflags github.com/caddyserver/...=-l -gcflags github.com/mholt/...=-l -gcflags github.com/miekg/...=-l \
	-gcflags github.com/zeebo/...=-l -gcflags go.uber.org/...=-l -gcflags github.com/redis/...=-l \
	-gcflags github.com/spf13/...=-l -gcflags go.yaml.in/...=-l -gcflags google.golang.org/...=-l \
	-gcflags github.com/klauspost/...=-l -gcflags github.com/prometheus/common/...=-l -gcflags github.com/prometheus/procfs/...=-l \
	-gcflags github.com/fsnotify/...=-l -gcflags attache/cmd/...=-l -gcflags attache/internal/emulator=-l -gcflags attache/internal/yamldoc=-l \
	-ldflags "-s -w -funcalign 16 -X main.version=$(VERSION) -X main.revision=$(REVISION)"

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the static, stripped binary build/attache
	$(GO_BUILD) -o $(BUILD_DIR)/attache ./cmd/attache

.PHONY: demo
demo: ## Run the demo; ARGS="--for 30s" ends it by itself
	go run ./cmd/attache demo $(ARGS)

.PHONY: test
test: lint ## Lint, run every test with the race detector, and those of requests in both lanes; try the status page in Chromium
	scripts/test.sh

.PHONY: lint
lint: ## Check formatting, modules and scripts; vet; staticcheck
	@files=$$(gofmt -l .); [ -z "$$files" ] || { echo "not formatted with gofmt:"; echo "$$files"; exit 1; }
	go vet ./...
	go tool staticcheck ./...
	go mod verify
	go mod tidy -diff
	staticcheck=$$(go tool -n staticcheck); cd test/page && go vet . && $$staticcheck . && go mod tidy -diff
	for script in .ci/run scripts/*.sh; do bash -n "$$script"; done

.PHONY: docs
docs: ## Write the generated parts of docs/ anew
	go test ./docs -run 'Generated$$' -update
	go test ./metrics -run '^TestReference$$' -update
	go test ./refresher/simulation -run '^TestScaling$$' -update
	go test ./test/bench -run '^TestDocumentation' -update
	go test ./cmd/attache -run '^TestManPages$$' -update

.PHONY: interop
interop: ## Hold the binary against suites and servers of others, and check the deployments in examples/
	staticcheck=$$(go tool -n staticcheck); for module in interop deploy chaos; do \
		(cd test/$$module && go vet . && $$staticcheck . && go mod tidy -diff); done
	scripts/interop.sh $(INTEROP)

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (30s)
	scripts/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: build ## Compare with nginx, haproxy and others, 14 minutes; ARGS="-h" tells more
	BUILD_DIR=$(BUILD_DIR) scripts/bench.sh $(ARGS)

.PHONY: simulate
simulate: ## Simulate replicas under faults, 200 seeds of 14 days; ARGS="-sim.seed 7 -sim.days 30"
	go test ./refresher/simulation -run 'TestSimulation$$' -count=1 -v -timeout 3h -sim.runs 200 -sim.days 14 $(ARGS)

.PHONY: scale
scale: ## Measure the engine with 100,000 live instances, 2 minutes, and write docs/scale.md; ARGS="-h" tells more
	go run ./test/scale $(ARGS)

.PHONY: chaos
chaos: ## Break everything under load, 10 minutes, and write docs/reliability.md; ARGS="--quick"
	BUILD_DIR=$(BUILD_DIR) scripts/chaos.sh $(ARGS)

.PHONY: microbench
microbench: ## Run the Go benchmarks
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: cover
cover: ## Measure what the tests cover, as build/cover.html
	mkdir -p $(BUILD_DIR)
	go test -coverpkg ./... -coverprofile $(BUILD_DIR)/cover.out ./...
	go tool cover -html $(BUILD_DIR)/cover.out -o $(BUILD_DIR)/cover.html
	go tool cover -func $(BUILD_DIR)/cover.out | tail -n 1

.PHONY: clean
clean: ## Remove what was built
	rm -rf $(BUILD_DIR)
