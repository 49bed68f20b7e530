# The commands of the project. `make paper` and `make test` are all that one needs.
#   make env      the virtual environment, from envs/requirements.lock
#   make paper    catalogue, stamps, encoders, models, tables, figures, the PDF and the page of results
#   make bundle   results/bundle.tar: all that tables, figures, the PDF and the page are made from
#   make figures  tables, figures, the PDF and the page from such a bundle, without torch: make figures BUNDLE=PATH
#   make test     the test suite
#   make lint     formatting and style of Python and Snakemake
#   make report   what `make paper` makes, and Snakemake's report of it as zip and HTML
#   make plan     what a run downloads and takes: requests, GB; jobs, core-hours, GPU-hours, longest chain
#   make cluster-check   what would fail on this Slurm cluster, before the first job
#   make lock     envs/requirements.lock anew, from envs/requirements.in
# Variables:
#   PRESET        a file of workflow/presets: make paper PRESET=test
#   BUNDLE        the bundle that `make figures` reads
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
BUNDLE ?=
ARGS ?=
TORCH_INDEX ?=

# What a user names reaches the shell through its environment, where no character of it means anything.
override BUNDLE := $(value BUNDLE)
override PRESET := $(value PRESET)
override TORCH_INDEX := $(value TORCH_INDEX)
PRESET_FILE := $(if $(PRESET),workflow/presets/$(PRESET).yaml)
export BUNDLE PRESET PRESET_FILE TORCH_INDEX PYTHON
ifneq ($(words $(VENV)),1)
$(error VENV=$(VENV): make knows no paths with spaces; name another folder)
endif

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# The target comes first: --configfile would take one after it for another file.
# Of --logger, the package of workflow/ that shows a run.
SNAKEMAKE = PYTHONPATH=workflow $(BIN)/snakemake $(TARGET) --logger astromae --cores all $(ARGS) $(if $(PRESET),--configfile "$$PRESET_FILE")

# Without the whole environment, figures get a small one: what their rules import, and Snakemake.
FIGURES_VENV := $(if $(wildcard $(INSTALLED)),$(VENV),$(VENV)-figures)
FIGURES_INSTALLED := $(FIGURES_VENV)/.installed

.PHONY: env paper bundle figures test lint report plan cluster-check lock preset named-bundle
.DEFAULT_GOAL := paper

env: $(INSTALLED)

define MAKE_VENV
	@if ! "$$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
		echo "error: $$PYTHON is missing or older than 3.11; name another: make env PYTHON=/path/to/python3.11" >&2
		exit 1
	fi
	if ! "$$PYTHON" -m venv $(@D); then
		echo "error: $$PYTHON cannot make virtual environments; on Debian: apt-get install python3-venv" >&2
		exit 1
	fi
endef

$(INSTALLED): envs/requirements.lock pyproject.toml
	$(MAKE_VENV)
	if [ -n "$$TORCH_INDEX" ]; then
		$(BIN)/pip install --index-url "$$TORCH_INDEX" $$(grep -E '^torch(vision)?==' envs/requirements.lock)
	fi
	$(BIN)/pip install --requirement envs/requirements.lock
	$(BIN)/pip install --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)-figures/.installed: envs/requirements.lock envs/evaluation.yaml envs/paper.yaml
	$(MAKE_VENV)
	$(@D)/bin/pip install --constraint envs/requirements.lock snakemake \
		$$(sed -nE 's/^ +- ([^ ]+==.*)/\1/p' envs/evaluation.yaml envs/paper.yaml | sort -u)
	touch $@

preset:
	@if [ -n "$$PRESET" ] && [ ! -f "$$PRESET_FILE" ]; then
		echo "error: PRESET=$$PRESET: there is no $$PRESET_FILE; presets:" \
			$(patsubst workflow/presets/%.yaml,%,$(wildcard workflow/presets/*.yaml)) >&2
		exit 1
	fi

paper: preset env
	@$(SNAKEMAKE)
	for made in results/paper/*.pdf results/report/index.html results/tables/*.csv results/figures/*.pdf; do
		if [ -f "$$made" ]; then echo "$$made"; fi
	done

bundle: TARGET := bundle
bundle: preset env
	@$(SNAKEMAKE)
	echo results/bundle.tar

named-bundle:
	@if [ ! -f "$$BUNDLE" ]; then
		echo "error: $(if $(BUNDLE),BUNDLE=$$BUNDLE: there is no such file; )name a bundle, as \`make bundle\` writes it:" \
			"make figures BUNDLE=results/bundle.tar" >&2
		exit 1
	fi

figures: named-bundle $(FIGURES_INSTALLED)
	@PYTHONPATH=workflow $(FIGURES_VENV)/bin/snakemake --logger astromae --cores all $(ARGS) --config bundle="$$BUNDLE"

# All tests by several processes, among which tests/division.py divides them; those that ARGS names by one.
test: env
	@$(BIN)/python -m pytest $(or $(ARGS),--numprocesses 2 --no-loadscope-reorder)

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

# Whatever else ARGS names, nothing but `downloads` is run.
plan: preset env
	@$(BIN)/snakemake downloads $(ARGS) --until downloads --quiet host reason progress rules --cores 1 $(if $(PRESET),--configfile "$$PRESET_FILE")
	$(BIN)/astromae plan --profile slurm $(ARGS) $(if $(PRESET),--configfile "$$PRESET_FILE")

cluster-check: env preset
	@$(BIN)/snakemake preflight --profile slurm $(ARGS) $(if $(PRESET),--configfile "$$PRESET_FILE")

# The lock leaves out what torch pins itself, the CUDA packages, so that one lock serves every build of it.
lock:
	@fresh=$$(mktemp -d)
	trap 'rm -rf "$$fresh"' EXIT
	"$$PYTHON" -m venv "$$fresh"
	"$$fresh/bin/pip" install --requirement envs/requirements.in
	"$$fresh/bin/pip" freeze --all | grep -viE '^(pip|nvidia-.*|triton|cuda-.*)==' > "$$fresh/lock"
	cp "$$fresh/lock" envs/requirements.lock
