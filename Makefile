# make run    serve the dashboard on http://127.0.0.1:8501 (another port: make run PORT=8600)
# make test   run every test, in a real browser too
# make clean  remove the virtual environment and what the tools left; runs/ and cache/ stay

PORT ?= 8501
PYTHON ?= python3

VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test chromium clean

run: $(VENV)/.run-requirements
	@exec $(BIN)/python -m streamlit run app.py --server.port $(PORT)

test: $(VENV)/.test-requirements chromium
	$(BIN)/python -m ruff check .
	$(BIN)/python -m pytest

# $CHROMIUM or one on the PATH; as root one from apt; else playwright's own.
chromium: $(VENV)/.test-requirements
	@$(BIN)/python -m tests.browser \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	       && apt-get update -qq && apt-get install -y -qq chromium && $(BIN)/python -m tests.browser; } \
	  || $(BIN)/python -m playwright install chromium

# The stamps are newer than the lists they were installed from, so an unchanged list costs nothing.
$(VENV)/.run-requirements: requirements.txt $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.test-requirements: tests/requirements.txt $(VENV)/.run-requirements
	$(BIN)/python -m pip install --disable-pip-version-check -r tests/requirements.txt
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Distillery needs Python 3.11 or newer, but $(PYTHON) is" \
	       "$$($(PYTHON) --version 2>/dev/null || echo missing); name another: make $(MAKECMDGOALS)" \
	       "PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
