# anonymi_bids in a container: no network, any user id, read-only root.
#
#   docker build -t anonymi_bids .
#   docker run --rm --network none --read-only --user "$(id -u):$(id -g)" \
#     -v /data/study:/in:ro -v /data/out:/out anonymi_bids /in /out participant group
#
# Any image with Python 3.11 and its venv module can stand in for the base.
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY anonymi_bids ./anonymi_bids
RUN python3 -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --quiet 'setuptools>=77' wheel \
 && /opt/build/bin/pip wheel --no-cache-dir --quiet --no-deps --no-build-isolation \
      --wheel-dir /wheels .

FROM ${BASE}
COPY docker/requirements.lock /opt/requirements.lock
RUN python3 -m venv /opt/anonymi_bids \
 && /opt/anonymi_bids/bin/pip install --no-cache-dir --quiet --requirement /opt/requirements.lock
COPY --from=build /wheels /opt/wheels
RUN /opt/anonymi_bids/bin/pip install --no-cache-dir --quiet --no-index --no-deps \
      /opt/wheels/*.whl \
 && rm -r /opt/wheels \
 && /opt/anonymi_bids/bin/python -m compileall -q /opt/anonymi_bids/lib \
 && mkdir -p /in /out

# HOME and the caches point at /tmp: nothing else needs to be writable but the output folder.
ENV PATH=/opt/anonymi_bids/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    NO_ET=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONNOUSERSITE=1 \
    LC_ALL=C.UTF-8
USER 65534:65534
WORKDIR /tmp
ENTRYPOINT ["anonymi-bids"]
CMD ["--help"]
