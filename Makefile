# Two commands: `make demo` does the main job, `make test` runs the tests. Both install what they need into .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3.10 || command -v python3)
BIN := .venv/bin

.PHONY: demo test test-long check install clean

demo: install
	$(BIN)/svc demo

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not long" -n 2 --dist loadfile

test-long: install
	$(BIN)/python -m pytest

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf .venv demo_output
