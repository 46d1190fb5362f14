# What people and CI call. Every target first sets up what it needs; fixtures/setup says what it
# installs, and where it may not, what to install.
#
#   make demo     builds, makes two images, analyses both, leaves the reports under demo/
#   make test     every check; as root also those that need the kernel
#   make corpus   analyses every image of fixtures/images and holds the verdicts against the
#                 catalogue
#   make guest    boots Debian's kernels 6.1, 6.12 and the newest of its backports in emulated machines
#                 with cgroup v2 only, and runs the doctor, the selftest, analyses and limits in each
#   make fuzz     a minute of fuzzing for each reader of foreign bytes (FUZZ_SECONDS=60)
#   make bench    what judging, watching and starting cost; a release build comes first
#
# All share one development build, which takes half the time of a release build. For use:
# cargo build --release.

SHELL = /bin/bash
.SHELLFLAGS = -euo pipefail -c
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# Tests that need root and the kernel run where there is root, unless LAZARET_LIVE says otherwise.
export LAZARET_LIVE ?= $(if $(filter 0,$(shell id -u)),1,)

DENY_VERSION = 0.20.2
DENY = target/tools/bin/cargo-deny

.PHONY: demo test corpus guest fuzz bench images build format lint core unit rules deny sample count

demo: build
	@fixtures/setup images
	@fixtures/judge --out demo redis malicious

test: format lint core unit rules deny sample count

corpus: build
	@fixtures/setup images
	@fixtures/judge --quiet --out target/corpus corpus

# Not in `make test`: a case takes four minutes where nobody else computes, since /dev/kvm is not asked
# for, and what fetches kernels needs Debian's archive. What it found first, `make test` holds without a
# guest: the stack of the probes (tests/bpf_object.rs). One case: fixtures/guest/run 6.1/plain.
guest: build
	@fixtures/setup guest images
	@fixtures/guest/run

fuzz:
	@fixtures/setup fuzz
	@fuzz/run

# Not in `make test`: numbers depend on the machine, and on what else it does.
bench:
	@fixtures/setup build images
	@fixtures/images/build base compile redis
	cargo bench --locked --bench engine --bench live

images:
	@fixtures/setup images
	@fixtures/images/build $$(fixtures/images/build --list | cut -f1)

build:
	@fixtures/setup build
	cargo build --locked

format:
	@fixtures/setup lint
	cargo fmt --check

lint:
	@fixtures/setup build lint
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --no-default-features -- -D warnings

# The core needs no privileges, no BPF and no sandbox.
core:
	@fixtures/setup build probes
	@mkdir -p target/log
	cargo test --locked --no-default-features --no-fail-fast 2>&1 | tee target/log/core

# Also compiles the probes and compares them with the committed object, byte by byte. The live tests wait
# more than they compute: cargo-deny is built beside them, once. Of a live test that fails beside others it
# is said whether it fails alone as well; it has failed either way.
unit:
	@fixtures/setup build probes images
	@mkdir -p target/log
	cargo test --locked --no-run
	@nice -n 19 $(MAKE) $(DENY) >target/log/deny 2>&1 & \
	    cargo test --locked --no-fail-fast 2>&1 | tee target/log/unit || \
	    { fixtures/second-look target/log/unit; exit 1; }

rules: build
	target/debug/lazaret rules check
	target/debug/lazaret rules test

# Licences, sources, banned crates. No package registry has the advisory database: cargo-deny, cargo-audit
# and the crate rustsec fetch it from GitHub when they run, Debian has neither it nor them, and what npm and
# PyPI have of OSV downloads it too. Where GitHub can be reached, run `cargo deny check advisories` as well.
# Crates of other systems are looked at, so all are fetched first.
deny: $(DENY)
	cargo fetch --locked
	$(DENY) --offline check --hide-inclusion-graph bans licenses sources

$(DENY):
	@fixtures/setup build
	cargo install --locked --debug --root target/tools --target-dir target/tools/build cargo-deny@$(DENY_VERSION)

# The part of the corpus that a change must not break.
sample: build
ifeq ($(LAZARET_LIVE),1)
	@fixtures/setup images
	@fixtures/judge --quiet --out target/sample sample
else
	@echo "sample: skipped: needs root and LAZARET_LIVE=1"
endif

# The last line of `make test`.
count:
	@awk '/^test result:/ { passed += $$4; failed += $$6; ignored += $$8 } \
	    END { printf "make test: %d tests passed, %d failed, %d ignored\n", passed, failed, ignored }' \
	    target/log/core target/log/unit
