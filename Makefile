# `make book` builds the book into _build/html, `make test` builds it and runs every test.
# Both make .venv first if needed; nothing else has to be installed by hand.
PYTHON ?= python3
VENV ?= .venv
PY = $(VENV)/bin/python
STAMP = $(VENV)/.installed
LAB = $(VENV)/.lab-installed
PIP_INSTALL = $(PY) -m pip install --disable-pip-version-check --quiet
# One install serves every target, so `make test` after `make book` does not install again.
EXTRAS = book,test,bench,dp,ray

.PHONY: book zip pdf slides student lab test test-anycpu notebooks assignments colab lint lock clean install help

help:
	@echo "make book | zip | pdf | slides | student | lab | test | test-anycpu | notebooks | assignments | colab | lint | lock | clean"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -x $(PY) || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -c constraints.txt -e ".[$(EXTRAS)]"
	@touch $@

book: $(STAMP)
	$(PY) -m tools.book

# What readers take away: _build/robust-privacy.zip, to be opened offline, and _build/robust-privacy.pdf.
zip pdf: book
	$(PY) -m tools.downloads $@

# The decks of slides/ from the site that is built, which `make book` does as well: after a change of a deck alone.
slides: $(STAMP)
	$(PY) -m tools.slides

# The site without solutions, from the same execution: _build/student and _build/robust-privacy-student.zip.
student: $(STAMP)
	$(PY) -m tools.student

# Two files of tests at a time, each on one core, as chapters are: threads would only wait for each other.
test: book
	$(PY) -m tools.browser
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile --durations=25

# All tests but those that build and run chapters, as two other processors: tools/any_cpu.py.
test-anycpu: $(STAMP)
	$(PY) -m tools.any_cpu

notebooks: $(STAMP)
	$(PY) -m tools.notebooks

# JupyterLab, which only this target installs, on the notebooks.
lab: $(LAB)
	$(PY) -m jupyterlab notebooks

$(LAB): $(STAMP)
	$(PIP_INSTALL) -c constraints.txt -e ".[lab]"
	@touch $@

# Students' notebooks; solutions, rubrics and autograders into _build/assignments.
assignments: $(STAMP)
	$(PY) -m tools.assignments

# The notebooks in an environment of their own with the versions that Colab has.
colab: $(STAMP)
	$(PY) -m tools.colab

lint: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m tools.notebooks --check
	$(PY) -m tools.assignments --check

# Refresh the pins: upgrade inside the ranges of pyproject.toml, then freeze.
lock: $(STAMP)
	$(PIP_INSTALL) --upgrade --upgrade-strategy eager -e ".[$(EXTRAS),lab,kaggle]"
	$(PY) -m tools.lock
	@touch $(STAMP)

clean:
	rm -rf _build .cache book/assets/vendor .pytest_cache .ruff_cache .hypothesis
