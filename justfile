# Short names for what start.py and the scripts do. `just` alone lists them.

default:
    @just --list

# a simulated tenant, from exports to an opened report
demo:
    python3 start.py demo

# the tests; arguments go to pytest
test *arguments:
    python3 start.py test {{ arguments }}

# ruff, mypy and the import rules
lint:
    python3 start.py lint

# write the code in the form that `lint` wants
format:
    uv run --frozen ruff format .
    uv run --frozen ruff check --fix .

# write the generated pages of docs/reference anew
docs:
    uv run --frozen python scripts/reference_docs.py

# measure everything and write docs/performance.md, in hours; `just bench --scale smoke` in minutes
bench *arguments:
    python3 start.py bench {{ arguments }}

# what continuous integration runs
ci:
    .ci/run
