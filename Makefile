#: dqn-harness: is a Deep Q-Network right, and does it still learn as it did?
#:
#:   make probes                     set-up included: Python 3.11 to 3.13 is all that it needs
#:   make regress GAME=cartpole      train, compare with the references, give a verdict
#:
#: Targets
help: ## print this page
	@awk '/^#:/ { print substr($$0, 4) } /^[A-Za-z]+ *(:|[?]=).* ## / { name = $$0; sub(/ *[:?].*/, "", name); \
	  sub(/.* ## /, ""); printf "  %-10s  %s\n", name, $$0 }' Makefile

setup: ## make .venv, anew whenever Python, pyproject.toml or constraints.txt changed
	@{ $(INPUTS); } 2>/dev/null | cmp -s - $(STAMP) || { $(PYTHON) -c '$(FIT)' && rm -rf $(STAMP) .venv *.egg-info && \
	  $(PYTHON) -m venv .venv && { $(INPUTS); } > .venv/wanted && \
	  $(BIN)/python -m pip install -c constraints.txt -e '.[atari,video,dev]' && mv .venv/wanted $(STAMP); }

probes: setup ## is it right? worlds with solved values; names the faulty component
	$(BIN)/dqn-harness probes

script: setup ## what does a script do? read off while it trains, without editing it
	$(BIN)/dqn-harness script

faults: setup ## plant every fault; store and draw which checks it turns red
	$(BIN)/dqn-harness faults && $(BIN)/python -m reports matrix

regress: setup ## does it still learn? train recipes x seeds, compare with the references
	$(BIN)/dqn-harness regress

gate: setup ## the verdict of a finished run as an exit code
	$(BIN)/dqn-harness gate

report: setup ## the page of a finished run
	$(BIN)/dqn-harness report

diff: setup ## same seed, different result: where did the runs A and B part?
	$(BIN)/dqn-harness diff

calibrate: setup ## how often is the gate wrong? measured; TRAIN=1 trains faults, an hour
	$(BIN)/dqn-harness calibrate

doctor: setup ## what of bits can this machine promise, and what is in the way of more?
	$(BIN)/dqn-harness doctor

bless: setup ## accept a finished run as the new reference; needs REASON
	$(BIN)/dqn-harness bless

import: setup ## judge logs of your own code like runs; needs NAME, LOGS, STEPS and WINDOW
	$(BIN)/dqn-harness import

readme: setup ## run the README's commands and paste what they print; half an hour
	README=write $(BIN)/python -m pytest tests/test_readme.py

crashes: setup ## kill a unit, or fill its disk, at every single moment; minutes
	CRASHES=every $(BIN)/python -m pytest tests/regression/store/test_crashes.py

scripts: setup ## plant every fault in a script of ours, and read it off; a minute
	SCRIPTS=every $(BIN)/python -m pytest tests/probes/scripts

healthy: setup ## probe healthy libraries over ten seeds, in environments of their own; half an hour
	$(BIN)/python -m tests.probes.healthy

test: setup ## run the tests, a file at a time on every core
	$(BIN)/python -m pytest $(PARALLEL)

lint: setup ## judge style and format
	$(BIN)/python -m ruff check && $(BIN)/python -m ruff format --check

types: setup ## check the types
	$(BIN)/python -m mypy

imports: setup ## check that imports point down
	$(BIN)/lint-imports

fmt: setup ## repair what lint can repair
	$(BIN)/python -m ruff check --fix && $(BIN)/python -m ruff format

check: lint types imports test ## lint, types, imports, then all tests

coverage: setup ## the tests again, with branch coverage, which takes half as long again
	$(BIN)/python -m coverage erase && $(BIN)/python -m coverage run -m pytest $(PARALLEL)
	$(BIN)/python -m coverage combine --quiet && $(BIN)/python -m coverage report

bench: setup ## time the hot paths against others; store the tables
	mkdir -p runs && $(BIN)/python -m pytest tests/benchmarks --benchmark-enable --benchmark-json=runs/bench.json && \
	  $(BIN)/python -m reports bench

clean: ## remove all that make can make again; runs/ stays
	rm -rf $(STAMP) .venv build dist *.egg-info .coverage .coverage.* .hypothesis .benchmarks .*_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

#:
#: Variables
GAME    ?= ## game to regress: cartpole or pong
RECIPE  ?= ## another recipe than the game's own: a name, or a path ending in .toml
SEEDS   ?= ## fresh seeds of a regression: how many (5), a range (1000-1004), a list (3,4,7)
AGENT   ?= ## implementation to probe, module:factory; the bundled core, if not given
SCRIPT  ?= ## the script to read: a file that trains as soon as it is run
ARGUMENTS ?= ## its own arguments
INTERPRETER ?= ## the interpreter of its own environment
EXPECTED ?= ## file of documented reds of that implementation, a reason for each code
CHECKS  ?= ## only these checks: patterns of codes, with and, or, not
SEED    ?= ## seed of the probes
DEVICE  ?= ## cpu, cuda or cuda:<index>; cuda where there is one, if not given
DEVICES ?= ## several to regress on, as in cpu,cuda:0: each judged by itself, then all together
FAULT   ?= ## fault to plant in the agent; .venv/bin/dqn-harness probes --list-faults names them
BITS    ?= ## so many reference seeds are trained again, to compare bits with the stored ones
TRAIN   ?= ## faults that calibrate trains: 1 for its twelve, or names between commas
RESUME  ?= ## folder of an interrupted regression to go on with
REASON  ?= ## why a new reference is right, in a sentence
RUN     ?= ## folder of the run to judge, show or bless; runs/latest, if not given
NAME    ?= ## of imported curves: lower case, digits and dashes
LOGS    ?= ## of one seed each, files or folders, between spaces
STEPS   ?= ## agent steps of every imported run, a multiple of WINDOW
WINDOW  ?= ## agent steps over which imported episodes are averaged
FORMAT  ?= ## of the logs: monitor, evaluations, tensorboard or csv; by what is there, if not given
REFERENCES ?= ## folder of the references; those of the package, if not given
A       ?= ## folder of the one run to diff: of one seed, of a regression, or of a window
B       ?= ## folder of the other
PYTHON  ?= python3 ## interpreter that .venv is made with
#:
#: Exit codes of the programs: 0 pass or watch, 1 fail, 2 interrupted, 3 infrastructure, 4 usage,
#: 5 nothing ran, 6 inconclusive. Make itself exits 2 for each but 0, and says "Error N" with the
#: program's own code N.

TARGETS := help setup probes script faults regress gate report diff calibrate doctor bless import readme crashes scripts healthy test lint types imports fmt check coverage bench clean
.PHONY: $(TARGETS)

BIN := .venv/bin
# Whole files, so that what a file's tests share is made once.
PARALLEL := -n logical --dist loadfile --no-loadscope-reorder
# The stamp copies all that .venv depends on: content decides, not the time of a file. It goes first
# and comes last, so an interruption leaves none. The folder counts, as an editable install names it.
STAMP := .venv/inputs
INPUTS = pwd -P && $(PYTHON) -VV && cat pyproject.toml constraints.txt
FIT = import importlib.util, sys; \
  (3, 11) <= sys.version_info[:2] <= (3, 13) or sys.exit("setup: expected Python 3.11 to 3.13, found %d.%d (%s); \
  next: name another one, as in make setup PYTHON=python3.11" % (sys.version_info[:2] + (sys.executable,))); \
  importlib.util.find_spec("ensurepip") or sys.exit("setup: %s has no venv module; \
  next: install it (Debian, Ubuntu: apt install python3-venv)" % sys.executable)

# Values reach the programs by the environment alone and unexpanded: text in a recipe would be run by
# the shell, and make itself runs a $(shell ...) in whatever it expands, exported variables included.
TO_PROGRAMS := AGENT SCRIPT ARGUMENTS INTERPRETER EXPECTED CHECKS GAME RECIPE SEEDS SEED DEVICE DEVICES FAULT BITS TRAIN RESUME REASON RUN NAME LOGS STEPS WINDOW FORMAT REFERENCES A B

# A misspelt variable would change nothing, and a gate go green without what was asked for.
KNOWN := $(TO_PROGRAMS) PYTHON BIN PARALLEL SHELL
NEAREST = $(shell $(PYTHON) -c 'import difflib, sys; print(*difflib.get_close_matches(sys.argv[1].upper(), sys.argv[2:], n=1, cutoff=0))' '$(subst ','\'',$1)' $(KNOWN))
$(foreach v,$(.VARIABLES),$(if $(filter command,$(origin $v)),$(if $(filter $v,$(KNOWN)),,\
  $(error unknown variable $v; the nearest is $(call NEAREST,$v), and make help explains all))))

$(foreach v,$(TO_PROGRAMS),$(eval override $v := $$(value $v)))
$(foreach v,$(TO_PROGRAMS),$(eval $(if $($v),export HARNESS_$v := $$($v),unexport HARNESS_$v)))

# Programs name these in messages, so that what they say to do next can be done.
export DQN_HARNESS_TARGETS := $(TARGETS)
# One thread and a fixed hash seed: sums and sets in the same order in every run.
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export PYTHONHASHSEED := 0
export CUBLAS_WORKSPACE_CONFIG := :4096:8
