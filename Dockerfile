# celery-reconcile, and celery-render for CI: docker build -t celery-render:0.1.0 .
# By digest, which an updater keeps new (.github/dependabot.yml): Python 3.14.8.
FROM python:3.14-slim@sha256:a2b82f3c48559aa0a8446d9af49826b6e2b2016f4cd2afabfe6013ec53729170 AS base

FROM base AS build
WORKDIR /src
COPY . .
# An environment of its own, without pip: all of it goes into the image. Nothing is compiled: every dependency has a wheel,
# and its hash is in requirements/ (`make lock`). With --no-index pip takes nothing more, and fails if something is missing.
RUN pip install --no-cache-dir --root-user-action ignore --require-hashes --only-binary :all: -r requirements/build.txt \
 && pip wheel --no-cache-dir --no-deps --no-build-isolation --no-index --wheel-dir /wheel . \
 && python -m venv --without-pip /opt/celery-render \
 && pip --python /opt/celery-render install --no-cache-dir --require-hashes --only-binary :all: -r requirements/image.txt \
 && pip --python /opt/celery-render install --no-cache-dir --no-index "$(echo /wheel/*.whl)[reconciler,sqs]"

FROM base
# The standard library of this image comes uncompiled (docker-library/python#615), and nobody may write beside it
# later: half a second at every start.
RUN pip uninstall --yes --root-user-action ignore pip \
 && python -m compileall -q -j 0 "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=build /opt/celery-render /opt/celery-render
ENV PATH="/opt/celery-render/bin:$PATH"
USER 65532:65532
ENTRYPOINT ["celery-reconcile"]
