# All commands of the project. `make` alone explains them.

.PHONY: help run test test-debug test-quick counts soak flaky fuzz lint deny tools image-root image-quick bench bench-quick bench-datapath local-up local-down clean
.DEFAULT_GOAL := help
# It would tell cargo how many jobs to run at once, which is cargo's own choice.
unexport MAKEFLAGS MFLAGS
# Under another name: a line that names it runs even where `make -n` only shows what would.
SELF := $(MAKE)

# The tests find their servers here, and one build of our own binary serves all of them.
export NETWORK_GUARD_TOOLS := $(CURDIR)/.cache/tools

# Each of these tests starts servers of its own and then waits for them most of the time: with three of them a core is busy.
E2E_THREADS ?= $(shell echo $$((3 * $$(nproc))))

# Those servers live for seconds. In Go, they collect garbage at a quarter of the cost with five times their memory.
test soak flaky: export GOGC ?= 400

help: ## explain the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

run: ## build and serve the example landscape, no Kubernetes needed
	cargo run -- serve all --landscape examples/landscape --log-format text \
	  --bind-address 127.0.0.1:10250 --health-bind-address 127.0.0.1:8081 --metrics-bind-address 127.0.0.1:8080

test flaky: export NETWORK_GUARD_IMAGE = $(CURDIR)/.cache/image-root-quick
test: tools ## install what is missing, then run all checks and tests
	tests/dependencies.py restore
	@$(SELF) --no-print-directory --jobs=2 --output-sync=line test-debug test-quick || \
	  { echo 'A check failed: its words stand above the first "***".' >&2; exit 1; }
	cargo test --test e2e -- --test-threads=$(E2E_THREADS)
	tests/dependencies.py save

# What is built for these two lies in two folders, and much of the one waits where the other computes: so they run side by side.
test-debug: lint deny
	cargo test --quiet --workspace --lib
	cargo test --quiet --workspace --doc
	cargo test --quiet --test it
	cargo test --quiet --test budget
	cargo test --quiet --test datapath
	cargo test --quiet --test e2e --no-run

test-quick: image-quick
	cargo bench --quiet --profile quick --bench counts -- --check
	cargo bench --quiet --profile quick --bench counts -- --growth
	cargo test --quiet --profile quick --test bounds

counts: tools ## write benches/counts.txt again, and the page with its figures: allocations and instructions of each call, which `make test` compares
	cargo bench --quiet --profile quick --bench counts -- --write
	NETWORK_GUARD_WRITE_DOCS=1 cargo test --quiet --test it documents::performance

soak: export PROPTEST_RNG_SEED = $(shell date +%s)
soak: tools image-root ## run the long versions of the tests that have one: a hundred restarts and rotations, an hour of mixed load: an hour and a half
	@echo "The seed of the property tests is PROPTEST_RNG_SEED=$(PROPTEST_RNG_SEED)."
	cargo test --quiet --workspace --lib
	cargo test --quiet --profile quick --test bounds
	cargo test --test e2e -- yaml:: image::
	NETWORK_GUARD_SOAK=1 cargo test --test e2e -- soak

flaky: tools image-quick ## look for tests whose result depends on who is faster, on an idle machine, one core, and a busy one: hours
	tests/flaky.py

fuzz: ## look for inputs that break a law, with libFuzzer: ten minutes (FUZZ_SECONDS) for each of nine targets
	tests/fuzz.sh

lint: ## check format, clippy with warnings as errors, and that no public item is dead
	cargo fmt --all --check
	cargo clippy --quiet --workspace --all-targets --locked -- -D warnings
	tests/public.py --dead

deny: ## check what we depend on: bans, licences, sources, advisories
	tests/deny.sh

tools: ## build and install the real servers that the tests run against, once for all clones
	tests/tools/build.sh

image-root: ## make the folder that the image holds: one static program, its licences and its SBOM
	image/root.sh

image-quick:
	image/root.sh quick

bench: tools ## compare speed, memory and overload with their goals, and write docs/reference/performance.md: ten minutes on an idle machine
	cargo bench --quiet --features bench --bench performance

bench-quick: tools ## compare the few of them that matter most, and write nothing: two minutes
	cargo bench --quiet --features bench --bench performance -- --quick

bench-datapath: tools ## print what a proxy between an API server and its Shoot costs: our socket, gardenlet's TLS, none
	NETWORK_GUARD_REQUIRE_DATAPATH=1 cargo test --profile bench --quiet --test datapath -- --ignored --exact speed::proxies_side_by_side --nocapture

local-up: tools ## start etcd, kube-apiserver and network-guard on this machine, with the example landscape
	cargo build --quiet
	tests/local.sh up

local-down: ## stop what local-up started
	tests/local.sh down

clean: ## remove everything that was built here; servers and libraries stay for other clones, in ~/.cache/network-guard
	-tests/local.sh down
	rm -rf .cache target
