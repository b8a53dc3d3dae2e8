# make run    serve the dashboard on http://127.0.0.1:8501 (another port: make run PORT=8600)
# make test   run every test, in a real browser too, three files side by side for every two cores
#             (one room's: .venv/bin/python -m pytest tests/core/data)
#             (with CI=1 in an environment that holds requirements.lock's very files, and nothing else)
# make clean  remove the virtual environment and what the tools left; runs/ and cache/ stay

PORT ?= 8501
PYTHON ?= python3

VENV := .venv
BIN := $(VENV)/bin

INSTALLED := $(VENV)/$(if $(CI),.locked-requirements,.test-requirements)

.PHONY: run test chromium strace clean

run: $(VENV)/.run-requirements
	@exec $(BIN)/python -m streamlit run app.py --server.port $(PORT)

test: $(INSTALLED) chromium strace
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

# $CHROMIUM or one on the PATH; as root one from apt; else playwright's own.
chromium: $(INSTALLED)
	@$(BIN)/python -m tests.fixtures.browser \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	       && apt-get update -qq && apt-get install -y -qq chromium && $(BIN)/python -m tests.fixtures.browser; } \
	  || $(BIN)/python -m playwright install chromium

# Some faults are injected with it; where it cannot be had, their tests say that they are skipped.
strace:
	@command -v strace >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get install -y -qq strace; } || true

# The stamps are newer than the lists they were installed from, so an unchanged list costs nothing.
$(VENV)/.run-requirements: requirements.txt $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.test-requirements: tests/requirements.txt $(VENV)/.run-requirements
	$(BIN)/python -m pip install --disable-pip-version-check -r tests/requirements.txt
	@touch $@

$(VENV)/.locked-requirements: requirements.lock $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Distillery needs Python 3.11 or newer, but $(PYTHON) is" \
	       "$$($(PYTHON) --version 2>/dev/null || echo missing); name another: make $(MAKECMDGOALS)" \
	       "PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
