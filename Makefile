# What people and CI call. Every target sets up what it needs (fixtures/setup says what it installs).
#
#   make demo     builds, makes two images, analyses both, leaves the reports under demo/
#   make test     every check; with root also those that need the kernel
#   make corpus   analyses every ordinary image of fixtures/images: no verdict may be `fail`
#
# Demo, tests and corpus share one development build, which takes half the time of a release build;
# for use: cargo build --release.

.DELETE_ON_ERROR:
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# Tests that need root and the kernel run where there is root.
export LAZARET_LIVE ?= $(if $(filter 0,$(shell id -u)),1,)

DENY_VERSION = 0.20.2
DENY = target/tools/bin/cargo-deny

.PHONY: demo test setup build images corpus format lint core unit rules probes deny sample

demo:
	@fixtures/setup build images
	cargo build --locked
	@fixtures/judge --out demo redis malicious

test: setup format lint core unit rules probes deny sample

setup:
	@fixtures/setup build images lint probes

build:
	@fixtures/setup build
	cargo build --locked

images:
	@fixtures/setup images
	@fixtures/images/build $$(fixtures/images/build --list | cut -f1)

corpus: build
	@fixtures/setup images
	@fixtures/judge --quiet --out target/corpus corpus

format:
	cargo fmt --check

lint:
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --no-default-features -- -D warnings

# The core needs no privileges, no BPF and no sandbox.
core:
	cargo test --locked --no-default-features

unit:
	cargo test --locked

rules: build
	target/debug/lazaret rules check
	target/debug/lazaret rules test

# Compiles the probes again and compares them with the committed object, byte by byte.
probes:
	@fixtures/setup probes

# Licences, sources, duplicates. The advisory database is no package of a registry: run
# `cargo deny check advisories` where it can be fetched.
deny: $(DENY)
	$(DENY) --offline check --hide-inclusion-graph bans licenses sources

$(DENY):
	cargo install --locked --debug --root target/tools --target-dir target/tools/build cargo-deny@$(DENY_VERSION)

sample: build
ifeq ($(LAZARET_LIVE),1)
	@fixtures/setup images
	@fixtures/judge --quiet --out target/sample sample
else
	@echo "sample: skipped: needs root and LAZARET_LIVE=1"
endif
