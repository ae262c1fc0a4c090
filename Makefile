# Beacon Detect: `make up` runs it on this machine, `make test` passes the tests, `make check` lints.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
BPF_OBJECT := src/beacon_detect/data_plane/beacon.bpf.o
APT = [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq

.PHONY: up test test-slow check train evaluate figures render format clean system test-system

up: .venv/.ready $(BPF_OBJECT) system  ## sensor + control plane on this machine; Ctrl-C stops both
	@exec $(BIN)/beacon-detect up -c config/config.yaml --state-dir .state

test: .venv/.ready $(BPF_OBJECT) system test-system  ## the fast suite
	$(BIN)/python -m pytest tests -n 2 --dist loadfile

test-slow: .venv/.ready $(BPF_OBJECT) system test-system  ## load, soak, packaging and fuzz tests, and every benchmark in small
	$(BIN)/python -m pytest tests -m slow --timeout 1800

check: .venv/.ready $(BPF_OBJECT)  ## lint, types, layers, C style, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/clang-format --dry-run --Werror bpf/*.c bpf/*.h
	$(BIN)/python docs/check.py

train: .venv/.ready  ## fit the detection model again, bit for bit
	$(BIN)/python -m training.fit

evaluate: .venv/.ready  ## tables of the detection, peers in the same run (BEACON_DATA: labelled captures)
	$(BIN)/python -m training.evaluate
	$(BIN)/python -m training.evaluate --world holdout

figures: .venv/.ready  ## draw the pictures of the documents again, from the present model
	$(BIN)/python -m docs.figures

render: .venv/.ready  ## files made from the settings' declarations
	$(BIN)/python -m beacon_detect.config.render --write

format: .venv/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i bpf/*.c bpf/*.h

# The stamp holds until the dependencies change: a second run installs nothing.
.venv/.ready: pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { $(APT) python3-venv; } || { echo "the package python3-venv is missing: install it, then run make again"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (once; a minute or two)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

$(BPF_OBJECT): bpf/beacon.bpf.c $(wildcard bpf/*.h) bpf/build.py | .venv/.ready
	$(BIN)/python bpf/build.py

# The sensor needs the distribution's libbpf; everything else comes with pip.
system:
	@/sbin/ldconfig -p 2>/dev/null | grep -q 'libbpf\.so\.1' || { $(APT) libbpf1; } || echo "note: libbpf.so.1 is missing: the sensor needs the package libbpf1 (as root: apt-get install libbpf1)"

# The end-to-end tests make network namespaces.
test-system:
	@command -v ip >/dev/null || { $(APT) iproute2; } || echo "note: the end-to-end tests need the package iproute2"

clean:
	rm -rf .venv .state build dist $(BPF_OBJECT)
