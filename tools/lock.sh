#!/usr/bin/env bash
# Pin in requirements.lock what pyproject.toml asks for. Versions already pinned stay, unless --upgrade is given.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
.venv/bin/uv pip compile --quiet "$@" --no-python-downloads --universal --python-version 3.11 \
  --fork-strategy fewest --extra tensorboard --extra timm --group dev --generate-hashes \
  --no-emit-index-url --no-emit-find-links --custom-compile-command tools/lock.sh \
  --output-file requirements.lock pyproject.toml
