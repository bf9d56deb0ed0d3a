# Aliases of the README's commands and of the checks; Windows users call the Python lines themselves.
PYTHON ?= .venv/bin/python

.PHONY: docs pictures week test nightly fuzz coverage check realism bench bench-api growth quality evaluation picture incidents mutation

week:
	$(PYTHON) run_sim.py --scenario week --seed 42

test:
	$(PYTHON) -m pytest -n 2

nightly:
	$(PYTHON) -m pytest -n 2 -m "nightly or not nightly" --hypothesis-profile nightly

coverage:
	$(PYTHON) -m pytest -n 2 --cov --cov-report=term

fuzz:
	$(PYTHON) -m pytest tests/property/test_any_file.py --hypothesis-profile nightly

check:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

realism:
	$(PYTHON) -m benchmarks.realism

quality:
	$(PYTHON) -m benchmarks.quality

bench:
	$(PYTHON) -m benchmarks.bench
	$(PYTHON) -m benchmarks.bench_ims
	$(PYTHON) -m benchmarks.bench_sweep

growth:
	$(PYTHON) -m benchmarks.growth

bench-api:
	$(PYTHON) -m benchmarks.bench_api

evaluation:
	$(PYTHON) -m benchmarks.evaluation_page

docs:
	$(PYTHON) -m sphinx -W --keep-going -q -b html docs build/site

picture:
	$(PYTHON) run_sim.py --scenario week --seed 42
	$(PYTHON) docs/week_picture.py

incidents:
	$(PYTHON) -m docs.incidents_page

mutation:
	$(PYTHON) -m benchmarks.mutation

pictures:
	$(PYTHON) -m docs.page_pictures
	$(PYTHON) -m docs.report_pictures
