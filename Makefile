# The commands of the project. `make paper` and `make test` are all that one needs.
#   make env      the virtual environment, from envs/requirements.lock
#   make paper    catalogue, stamps, encoders, redshifts, tables, figures and the PDF
#   make test     the test suite
#   make lint     formatting and style of Python and Snakemake
#   make report   the same, and Snakemake's report of it as zip and HTML
#   make cluster-check   what would fail on this Slurm cluster, before the first job
#   make lock     envs/requirements.lock anew, from envs/requirements.in
# Variables:
#   PRESET        a file of workflow/presets: make paper PRESET=test
#   ARGS          more arguments for Snakemake or pytest: make paper ARGS="--dry-run"
#   PYTHON        the Python that makes the environment, 3.11 or newer
#   VENV          where the environment goes
#   TORCH_INDEX   address of a package index with another build of torch, installed before the rest. For
#                 a torch without CUDA (4 GB less): the index for CPU that PyTorch's page
#                 "Start Locally" shows behind --index-url

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:

VENV ?= .venv
PYTHON ?= $(or $(shell command -v python3.11),python3)
PRESET ?=
ARGS ?=
TORCH_INDEX ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PRESET_FILE := $(if $(PRESET),workflow/presets/$(PRESET).yaml)
# Arguments come first: --configfile would take a target after it for another file.
SNAKEMAKE = $(BIN)/snakemake --quiet host reason --cores all $(ARGS) $(if $(PRESET),--configfile $(PRESET_FILE))

.PHONY: env paper test lint report cluster-check lock preset
.DEFAULT_GOAL := paper

env: $(INSTALLED)

$(INSTALLED): envs/requirements.lock pyproject.toml
	@if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
		echo "error: $(PYTHON) is missing or older than 3.11; name another: make env PYTHON=/path/to/python3.11" >&2
		exit 1
	fi
	if ! $(PYTHON) -m venv $(VENV); then
		echo "error: $(PYTHON) cannot make virtual environments; on Debian: apt-get install python3-venv" >&2
		exit 1
	fi
	if [ -n "$(TORCH_INDEX)" ]; then
		$(BIN)/pip install --index-url "$(TORCH_INDEX)" $$(grep -E '^torch(vision)?==' envs/requirements.lock)
	fi
	$(BIN)/pip install --requirement envs/requirements.lock
	$(BIN)/pip install --no-deps --no-build-isolation --editable .
	touch $@

preset:
	@if [ -n "$(PRESET)" ] && [ ! -f "$(PRESET_FILE)" ]; then
		echo "error: PRESET=$(PRESET): there is no $(PRESET_FILE); presets:" \
			$(patsubst workflow/presets/%.yaml,%,$(wildcard workflow/presets/*.yaml)) >&2
		exit 1
	fi

paper: preset env
	@$(SNAKEMAKE)
	for made in results/paper/*.pdf results/tables/*.csv results/figures/*.pdf; do
		if [ -f "$$made" ]; then echo "$$made"; fi
	done

test: env
	@$(BIN)/python -m pytest $(ARGS)

lint: env
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/snakemake --lint

report: paper
	@for kind in zip html; do
		$(SNAKEMAKE) --report results/report/snakemake.$$kind
	done
	ls results/report/index.html results/report/snakemake.*

cluster-check: env preset
	@$(BIN)/snakemake preflight --profile slurm $(ARGS) $(if $(PRESET),--configfile $(PRESET_FILE))

# The lock leaves out what torch pins itself, the CUDA packages, so that one lock serves every build of it.
lock:
	@fresh=$$(mktemp -d)
	trap 'rm -rf "$$fresh"' EXIT
	$(PYTHON) -m venv "$$fresh"
	"$$fresh/bin/pip" install --requirement envs/requirements.in
	"$$fresh/bin/pip" freeze --all | grep -viE '^(pip|nvidia-.*|triton|cuda-.*)==' > "$$fresh/lock"
	cp "$$fresh/lock" envs/requirements.lock
