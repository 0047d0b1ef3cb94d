#!/bin/sh
# Writes requirements.txt, requirements-snowflake.txt, requirements-dev.txt, requirements-sbom.txt and requirements-readers.txt
# from their .in files; run by `make lock`.
# Versions that are locked stay unless an .in file forbids them; to renew one, delete its lines first.
# The locks hold for every platform (hashes of all files of a version) and name no index.
set -eu
cd "$(dirname "$0")/.."
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"${PYTHON:-python3}" -m venv "$tools"
"$tools/bin/pip" --disable-pip-version-check install --quiet uv==0.13.9
lock() {
    "$tools/bin/uv" pip compile --quiet --python-version 3.11 --generate-hashes \
        --no-annotate --no-header --no-emit-index-url --no-emit-find-links "$@"
}
# The largest first: what it holds fits together, and the others hold the same.
lock --universal requirements-dev.in --output-file requirements-dev.txt
for set in requirements-snowflake requirements requirements-sbom; do
    lock --universal $set.in --constraints requirements-dev.txt --output-file $set.txt
done
# Engines for tests alone: for the Python and the system that tests run on; not every one has files for others.
lock --only-binary :all: --no-strip-extras requirements-readers.in --output-file requirements-readers.txt
