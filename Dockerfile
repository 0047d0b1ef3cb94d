# Third Rail in a container; docs/operations.md tells how it is run.
# Plain instructions alone, so that the classic builder, BuildKit and buildah take it, and no front end is fetched.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# One image for every profile: the way into Snowflake, and the stand-in for it, want the larger set (docs/operations.md
# has both sizes). `--build-arg REQUIREMENTS=requirements.txt` leaves them out.
ARG REQUIREMENTS=requirements-snowflake.txt
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# Without pip of its own: nothing is installed into it later.
RUN python3 -m venv --without-pip /opt/thirdrail && python3 -m venv /build/tools
# The libraries first: this layer, which takes longest, stays until a lock file changes.
COPY requirements.txt requirements-snowflake.txt requirements-dev.txt requirements-sbom.txt ./
RUN /build/tools/bin/pip --python /opt/thirdrail/bin/python install --require-hashes --only-binary :all: \
    --requirement "${REQUIREMENTS}"
# The list of what was installed just now, from the same lock.
RUN /build/tools/bin/pip install --require-hashes --only-binary :all: --requirement requirements-sbom.txt \
    && /build/tools/bin/cyclonedx-py requirements --output-reproducible --output-file sbom.json "${REQUIREMENTS}"
# The build backend, by its hash in the lock of the whole project.
RUN awk '/^[a-z]/ { wanted = /^flit-core==/ } wanted' requirements-dev.txt >backend.txt \
    && /build/tools/bin/pip install --require-hashes --requirement backend.txt
COPY pyproject.toml LICENSE ./
COPY src ./src
RUN /build/tools/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir dist . \
    && /build/tools/bin/pip --python /opt/thirdrail/bin/python install --no-deps --no-index dist/*.whl \
    && /opt/thirdrail/bin/thirdrail --version

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="Third Rail" \
    org.opencontainers.image.description="MTA real-time feeds in Iceberg tables and Snowflake" \
    org.opencontainers.image.licenses="Apache-2.0"
# The base's own pip and its kin have no work here.
RUN python3 -c "import importlib.util, pathlib, shutil; \
    found = filter(None, map(importlib.util.find_spec, ('pip', 'setuptools', 'wheel'))); \
    [shutil.rmtree(pathlib.Path(each.origin).parent) for each in found]"
COPY --from=build /opt/thirdrail /opt/thirdrail
COPY --from=build /build/sbom.json /usr/share/thirdrail/sbom.json
# HOME and /tmp are the only places beside the data folder that are written, and both are the tmpfs.
# Byte code was compiled by pip, at the build: the root is read-only.
ENV PATH=/opt/thirdrail/bin:$PATH HOME=/tmp LANG=C.UTF-8 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# By number, which needs no line in /etc/passwd, and which Kubernetes' runAsNonRoot can check.
USER 10001:10001
WORKDIR /tmp
STOPSIGNAL SIGTERM
# /readyz, not /livez: Docker restarts nothing for being unhealthy, it only tells, and "alive but not moving" is what is
# worth telling. Whoever restarts what is unhealthy (Swarm, Kubernetes) should ask /livez for that: a new process does
# not help against a feed that is away. No proxy: what Docker hands to containers may not spare this address.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python3", "-c", "import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:8001/readyz', timeout=4)"]
ENTRYPOINT ["thirdrail"]
CMD ["--help"]
