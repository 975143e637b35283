# make demo   the main job: a disk image served by one process, written, read back and verified by another
# make test   the tests
# Both create .venv; the demo leaves its capture in demo-out. What else there is: test-long, lint, fuzz, bench, interop,
# interop-long, clean.

VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?= python3 python3.11 python3.12 python3.13 python3.14
PYTEST := $(PY) -m pytest -q -n 2 --dist worksteal

export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/pycache
export HYPOTHESIS_STORAGE_DIRECTORY := $(CURDIR)/$(VENV)/hypothesis
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-long lint fuzz bench interop interop-long clean
.DELETE_ON_ERROR:

help:
	@sed '/^$$/q; s/^# //' Makefile

demo: $(VENV)/.run
	@$(VENV)/bin/baremetal demo

test: $(VENV)/.dev
	@$(PYTEST)

test-long: $(VENV)/.dev
	@$(PYTEST) -m 'long or not long'

lint: $(VENV)/.dev
	@$(PY) -m ruff check --cache-dir $(VENV)/cache/ruff .
	@$(PY) -m mypy --cache-dir $(VENV)/cache/mypy
	@$(VENV)/bin/lint-imports --cache-dir $(VENV)/cache/imports

fuzz: $(VENV)/.fuzz
	@$(PY) -m tests.fuzz $(FUZZ)

bench: $(VENV)/.run
	@$(PY) -m apps.main bench

interop: $(VENV)/.dev
	@$(PY) -m interop

interop-long: $(VENV)/.dev
	@$(PY) -m interop --long

clean:
	rm -rf $(VENV) demo-out interop-out bench.json

$(VENV)/.run: pyproject.toml
	@set -e; found=; \
	for python in $(PYTHON); do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	test -n "$$found" || { echo 'make: no Python 3.11 or later here; on Debian and Ubuntu: apt install python3 python3-venv' >&2; exit 1; }; \
	$$found -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "make: $$found has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }; \
	echo 'make: preparing $(VENV)'; $$found -m venv $(VENV)
	@$(call install,project["dependencies"],run)
	@$(PY) -c '$(link_tree)'
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@$(call install,project["optional-dependencies"]["dev"],dev)
	@touch $@

$(VENV)/.fuzz: $(VENV)/.dev
	@$(call install,project["optional-dependencies"]["fuzz"],fuzz)
	@touch $@

# $(call install,LIST,NAME) puts a list of requirements from pyproject.toml into the environment. The tree itself is
# linked in by a .pth file, because an editable installation would leave a folder of metadata beside the sources.
define install
$(PY) -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; print(*$1, sep="\n")' \
  > $(VENV)/$2.txt && $(PY) -m pip install -q -r $(VENV)/$2.txt || \
  { echo 'make: pip could not install what pyproject.toml asks for; its message is above' >&2; exit 1; }
endef

define link_tree
import pathlib, stat, sysconfig; \
pathlib.Path(sysconfig.get_path("purelib"), "baremetal.pth").write_text("$(CURDIR)\n"); \
script = pathlib.Path("$(VENV)/bin/baremetal"); \
script.write_text("#!$(CURDIR)/$(PY)\nfrom apps.main import main\n\nmain()\n"); \
script.chmod(0o755)
endef
