# To begin with, Python >= 3.10, make and a network for packages are enough. `make` alone lists what can be made.
# The environment is made once, in .venv, and again only where pyproject.toml has changed or an install was broken off.

VENV = .venv
SPEC = atlas.yaml
SITE = site
ARGS =
# The whole suite is shared out among a few processes, a file at a time and in order: fixtures of a file are made once.
TOGETHER = -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
PYTHON =
PYTHONS = $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11 python3.10 python

OURS = $(VENV)/made-by-make
STAMP = $(VENV)/installed
BIN = $(VENV)/bin
CACHES = .pytest_cache .ruff_cache .mypy_cache tests/browser/node_modules

# The stamp holds the folder it was made in: an environment does not survive a move, nor the loss of its Python.
WHOLE := $(shell [ -x $(BIN)/python ] && [ "$$(cat $(STAMP) 2>/dev/null)" = "$(CURDIR)" ] && echo yes)

.PHONY: help atlas test test-browsers check-pages screenshots lint bench clean $(if $(WHOLE),,$(STAMP))
.DEFAULT_GOAL := help

help: ## list what can be made
	@echo "make TARGET, where TARGET is"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1@\2/p' Makefile | while IFS=@ read -r name says; do printf '  %-13s %s\n' "$$name" "$$says"; done

atlas: $(STAMP) ## build the atlas of atlas.yaml into site/ (another: SPEC=my.yaml SITE=folder)
	@echo "Building the atlas of $(SPEC): about half a minute for the bundled network, on two cores."
	@$(BIN)/python -m generator build "$(SPEC)" -o "$(SITE)"
	@$(BIN)/python -c 'import pathlib, sys; page = pathlib.Path(sys.argv[1], "index.html").resolve(); print(f"Open {page}\n  or {page.as_uri()}")' "$(SITE)"

test: $(STAMP) ## run the whole suite (a part, in one process: ARGS="-k packaging")
	@$(BIN)/python tests/browser/programs.py chromium
	@echo "Running the tests: a few minutes on two cores."
	@$(BIN)/python -m pytest $(or $(ARGS),$(TOGETHER))

test-browsers: $(STAMP) ## try the demo in Firefox, over http and file:// (needs Firefox and npm, installs them where it may)
	@$(BIN)/python tests/browser/programs.py firefox npm
	@PYTHONPATH=tests $(BIN)/python -m browser.checks firefox

check-pages: $(STAMP) ## hold every page of the demo against the Nu checker, html-validate and Lighthouse (needs Java, npm, Chromium)
	@$(BIN)/python tests/browser/programs.py chromium java npm
	@PYTHONPATH=tests $(BIN)/python -m browser.checks pages

screenshots: $(STAMP) ## take pictures of every kind of page, light and dark, wide and narrow, into screenshots/
	@$(BIN)/python tests/browser/programs.py chromium
	@PYTHONPATH=tests $(BIN)/python -m browser.screenshots

lint: $(STAMP) ## check style and types: ruff, ruff format, mypy
	@echo "Checking style and types: seconds, the first time half a minute."
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(STAMP) ## measure the figures that the documents name
	@echo "Running benchmarks/: half an hour on two cores. Some read the checkpoints in ../shared/models."
	@$(BIN)/python benchmarks $(ARGS)

clean: ## remove the environment and the tools' caches; an atlas stays
	@if [ -f $(OURS) ]; then rm -rf $(VENV); elif [ -e $(VENV) ]; then echo "$(VENV) was not made by make: it stays."; fi
	@rm -rf $(CACHES)
	@find generator tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

# Without the stamp a folder of ours may hold half an install, which pip would take for a whole one: begin anew.
$(STAMP): pyproject.toml
	@if [ -n "$(WHOLE)" ]; then \
	    echo "pyproject.toml has changed: bringing $(VENV) up to date, seconds unless PyTorch is newer."; \
	    rm $(STAMP); exit; \
	fi; \
	echo "Installing into $(VENV), once: two minutes or more, nearly all for the download of PyTorch (with it, 6 GB on Linux)."; \
	if [ -e $(VENV) ] && [ ! -f $(OURS) ]; then \
	    echo "$(VENV) is there already and was not made by make. Move it away, or name another: make VENV=folder ..." >&2; exit 1; \
	fi; \
	old=; found=; \
	for python in $(PYTHONS); do \
	    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || continue; \
	    if "$$python" -c 'import venv, ensurepip' 2>/dev/null; then found=$$python; break; fi; \
	    old=$$python; \
	done; \
	if [ -z "$$found" ] && [ -n "$$old" ]; then \
	    echo "$$old cannot make environments: its modules venv and ensurepip are missing." >&2; \
	    echo "On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; \
	elif [ -z "$$found" ]; then \
	    echo "No Python >= 3.10 was found. Looked for: $(strip $(PYTHONS))." >&2; \
	    echo "Install one, or say where it is: make PYTHON=/path/to/python3 ..." >&2; exit 1; \
	fi; \
	rm -rf $(VENV) && mkdir $(VENV) && touch $(OURS) && "$$found" -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check --editable '.[dev]'
	@echo "$(CURDIR)" > $(STAMP)
