# Nuraghe: make demo, make test. Each installs the Debian packages that it lacks (it lists them first), builds and runs.
#
#   make build       the programs, in build/bin/
#   make demo        one cluster from blueprint to destruction, on real virtual hosts
#   make test        everything that CI runs; make test LABEL=unit runs one layer
#   make test-all    the same, longer: sanitizers over all tests, long simulations
#   make format      lays the sources out
#   make clean
SHELL := /bin/bash
BUILD ?= build
LABEL ?=
JOBS ?= $(shell nproc)
# Simulations begin with the seed that the commit gives (src/bpel/simulation_test.cpp).
export NURAGHE_SEED ?= $(shell printf '%d' "0x$$(git rev-parse --short=8 HEAD 2>/dev/null || echo 1)")
CMAKE := cmake -G Ninja -S . -B $(BUILD) --log-level=WARNING -DNURAGHE_UNITY=ON

.PHONY: build demo test test-all check format clean image

build:
	@tools/packages ensure build
	@$(CMAKE) -DNURAGHE_TESTS=OFF
	@cmake --build $(BUILD) --parallel $(JOBS)

image:
	@tools/packages ensure image
	@images/build mini --out-link $(BUILD)/mini.path

demo: build
	@tools/packages ensure run image
	@tools/demo --build $(BUILD)

test:
	@tools/packages ensure build run image test
	@$(CMAKE) -DNURAGHE_TESTS=ON
	@cmake --build $(BUILD) --parallel $(JOBS)
	@cd $(BUILD) && ctest --output-on-failure --parallel 2 --timeout 900 $(if $(LABEL),-L '^$(LABEL)$$',)

test-all:
	@tools/packages ensure build run image test
	@tools/test-all

check:
	@tools/packages ensure build test
	@tools/check

format:
	@git ls-files '*.cpp' '*.hpp' | xargs clang-format -i

clean:
	rm -rf $(BUILD) build-*
