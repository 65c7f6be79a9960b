#!/usr/bin/env bash
# Makes both locks from pyproject.toml: ./firmware-config/lock.sh [--upgrade | --upgrade-package NAME]...
# Pins that still fit are kept. The locks hold versions and hashes and no address: the machine's settings say where from.
set -euo pipefail

speaker="edge lock"
# shellcheck source-path=SCRIPTDIR source=machine.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/machine.sh"
command -v uv >/dev/null || fail "uv is needed to resolve the locks." "Install it: pip install uv"

# lock FILE ARGUMENT...
lock() {
  local file=$1
  shift
  uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
    --no-emit-find-links --no-annotate --no-header --output-file "$file" "$@"
  say "$file: $(grep -c '^[a-z]' "$file") packages"
}

cd -- "$repository"
lock requirements.lock --group build "$@"
# The test suite runs on the very wheels a gate runs on.
lock requirements-dev.lock --group build --group dev --constraint requirements.lock "$@"
