# Everything here sets itself up: Python 3.11 or newer and make are all it takes.
# The first `make test` on a machine builds a Kubernetes control plane from source, about 10 minutes; later runs reuse it.

PYTHON ?= python3
APP    ?= examples/minimal/app.yaml
OUT    ?= out
IMAGE  ?= celery-render
N      ?= 50000

KUBERNETES ?= 1.33
# Where releases of Kubernetes can differ: the CRD and the verdict on it, what becomes of each field, scaling, permissions, lists.
DIFFERING  := $(addprefix tests/cluster/,test_control_plane.py::test_it_is_the_release_that_was_asked_for test_crd.py test_bases.py \
  verdict/test_verdict.py verdict/test_same_verdict.py verdict/test_children.py verdict/test_as_the_autoscaler.py $(addprefix reconcile/, \
  test_every_field.py test_every_field_of_beat_and_flower.py test_releases.py test_beside_the_autoscaler.py test_rbac_is_exact.py \
  test_lists_from_the_cache.py))

bin    := .venv/bin
run    := .venv/.run
test   := .venv/.test
docs   := .venv/.docs
audit  := .venv/.audit

# What the image has: its Python, and the platform of most who run it (hashes are those of every platform's wheels).
IMAGE_PYTHON := $(shell sed -n 's/^PYTHON = "python\(.*\)"/\1/p' release/image.py)
PIN := $(bin)/uv pip compile --quiet --upgrade --generate-hashes --no-build --python-version $(IMAGE_PYTHON) --python-platform linux \
  --custom-compile-command 'make lock'

.DEFAULT_GOAL := help
.PHONY: help run test test-on test-on-all test-oldest lint lint-workflows fast interop fuzz fuzz-inputs e2e e2e-all dashboard demo demo-real play play-real crd golden badges lock audit docs release bench clean

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(run) ## render APP (default: examples/minimal/app.yaml) into OUT (default: out)
	$(bin)/celery-render $(APP) -o $(OUT)

test: $(test) lint ## lint, then every test, those on a real Kubernetes API server too
	$(bin)/python tests/cluster/build.py
	$(bin)/pytest --numprocesses auto --dist loadfile --ignore tests/node --ignore tests/interop

test-on: $(test) ## tests/cluster on the parts of another release of Kubernetes: KUBERNETES=1.33 … 1.36
	$(bin)/python tests/cluster/build.py $(KUBERNETES)
	$(bin)/pytest $(or $(TESTS),tests/cluster) --kubernetes=$(KUBERNETES) --numprocesses auto --dist loadfile

test-oldest: ## on the oldest release of Kubernetes what can differ from one to the next
	$(MAKE) test-on TESTS="$(DIFFERING)"

test-on-all: $(test) ## tests/cluster on each supported release of Kubernetes, about two hours; prints what passed on which
	$(bin)/python tests/cluster/on_all.py --numprocesses auto --dist loadfile

fast: $(test) ## the tests that need no control plane
	$(bin)/pytest --numprocesses auto --dist loadfile --ignore tests/cluster --ignore tests/node --ignore tests/interop

e2e: $(test) ## real pods on two real kubelets, with the oldest and the newest Celery; needs Linux and root
	PYTHONPATH=tests/brokers:tests/cluster $(bin)/python tests/node/prepare.py
	CI=true $(bin)/pytest tests/node --numprocesses 2 --dist loadfile $(addprefix --celery=,$(CELERY))

e2e-all: CELERY := 5.4 5.5 5.6 5.7
e2e-all: e2e ## the same with every Celery version, and all tests that start Celery outside of pods
	CI=true $(bin)/pytest tests/brokers tests/celery --numprocesses auto --dist loadfile $(addprefix --celery=,$(CELERY))

interop: $(test) ## beside the real Argo CD, Flux and KEDA, built from source the first time; prints what was seen of each
	$(bin)/python tests/cluster/build.py
	PYTHONPATH=tests/cluster $(bin)/python tests/interop/programs.py
	CI=true $(bin)/pytest tests/interop

fuzz: $(test) ## judge N (default: 50000) documents beside the API server; FUZZ_SEED repeats a run
	PYTHONPATH=tests/cluster $(bin)/python tests/cluster/verdict/fuzz.py $(N)

fuzz-inputs: $(test) ## look at N (default: 50000) hostile apps: their brokers' URLs and settings, what servers answer, and their YAML
	PYTHONPATH=tests/brokers:tests/cluster $(bin)/python tests/brokers/inputs.py $(N)

lint: $(test) ## ruff, mypy, import contracts
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy
	$(bin)/lint-imports

lint-workflows: ## actionlint over .github/workflows; needs Go
	go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

dashboard: $(test) ## draw docs/operations/dashboard.png anew from real pods and a real Prometheus, in about ten minutes; needs Linux and root
	PYTHONPATH=tests/brokers:tests/cluster $(bin)/python tests/node/prepare.py
	$(bin)/python bench/dashboard.py

demo: $(test) ## an app's whole life on a real control plane, in about a minute
	$(bin)/python demo/demo.py

demo-real: $(test) ## the same with pods that run, on a real kubelet, in about two minutes; needs Linux and root
	PYTHONPATH=tests/brokers:tests/cluster $(bin)/python tests/node/prepare.py
	$(bin)/python demo/demo_real.py

play: $(test) ## a control plane, the reconciler and an app that stay until Ctrl-C, to play with; pods are only played
	$(bin)/python demo/demo.py --stay

play-real: $(test) ## the same with pods that run, Redis, and a worker that works; needs Linux and root
	PYTHONPATH=tests/brokers:tests/cluster $(bin)/python tests/node/prepare.py
	$(bin)/python demo/demo_real.py --stay

crd: $(test) ## write anew what is made of the source and of Kubernetes' OpenAPI: crds/, docs/reference.md, render/since.json
	sources="$$($(bin)/python tests/cluster/build.py --sources)" && newest="$${sources##*=}/api/openapi-spec/v3" && \
	$(bin)/python crds/since.py $$sources && $(bin)/python crds/generate.py "$$newest" && $(bin)/python crds/reference.py "$$newest"

golden: $(run) ## write the bases in examples/ anew; review the difference like code
	for app in examples/*/app.yaml examples/real/*/app.yaml; do $(bin)/celery-render $$app -o $${app%app.yaml}base || exit 1; done
	$(bin)/python -c 'from render import emit, references; print(emit.stream([references.configuration(references.KINDS)]), end="")' \
	  > kustomize/components/references/kustomizeconfig.yaml

badges: $(test) ## draw the README's badges anew: docs/badges/, after a new version or range of versions
	$(bin)/python release/badges.py docs/badges

lock: $(audit) ## pin anew, by version and hash, what goes into the image and what builds the wheel: requirements/; DEBIAN lists archives
	$(PIN) --extra reconciler --extra sqs --output-file requirements/image.txt pyproject.toml
	$(bin)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
	  | $(PIN) --output-file requirements/build.txt -
	$(bin)/python release/base.py requirements/debian.sha256

audit: $(audit) ## licenses and known vulnerabilities of what requirements/ pins; needs the network
	rm -rf .venv/image && $(PYTHON) -m venv --without-pip .venv/image
	$(bin)/pip install --quiet --require-hashes --no-deps --only-binary :all: --python-version $(IMAGE_PYTHON) \
	  --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 --requirement requirements/image.txt \
	  --target "$$(.venv/image/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	$(bin)/pip-licenses --python .venv/image/bin/python
	for lock in requirements/*.txt; do $(bin)/pip-audit --strict --disable-pip --requirement $$lock || exit 1; done

docs: $(docs) ## build the docs site into site/; a link that leads nowhere fails
	NO_MKDOCS_2_WARNING=1 $(bin)/mkdocs build

release: $(test) ## make of the last commit what a release hands out, into dist/: the same bytes each time; IMAGE is where the image will be
	PYTHONPATH=tests/cluster $(bin)/python release/dist.py dist $(IMAGE)

bench: $(test) ## measure; prints tables, asserts nothing
	$(bin)/python bench/bench_render.py
	$(bin)/python bench/bench_reconcile.py
	$(bin)/python bench/bench_rescale.py
	$(bin)/python bench/bench_probe.py
	$(bin)/python bench/bench_queues.py
	$(bin)/python bench/bench_scale.py
	$(bin)/python bench/bench_wait.py

clean: ## remove what was made, but not the built control plane (.cache)
	rm -rf .venv build dist site $(OUT)

.venv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "celery-render needs Python 3.11 or newer: make PYTHON=python3.13 …")'
	$(PYTHON) -m venv .venv
	$(bin)/pip install --quiet --upgrade 'pip>=25.1'

$(run): pyproject.toml hatch_build.py crds/celeryapps.yaml crds/pods.yaml | .venv
	$(bin)/pip install --quiet --editable .
	@touch $@

$(test): $(run)
	$(bin)/pip install --quiet --editable '.[reconciler,sqs]' --group test --group lint --group docs
	$(bin)/python -m venv --without-pip .venv/release # apart: what it brings along makes jsonschema slow to import
	$(bin)/pip --python .venv/release install --quiet --group release
	@touch $@

$(docs): pyproject.toml | .venv
	$(bin)/pip install --quiet --group docs
	@touch $@

$(audit): pyproject.toml | .venv
	$(bin)/pip install --quiet --group audit
	@touch $@
