#!/usr/bin/env bash
# Pin in requirements.lock what pyproject.toml asks for. Versions already pinned stay, unless --upgrade is given.
# With --cpu: pin in requirements-cpu.lock the processor builds of the same torch and torchvision, from PyTorch's index.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
compile=(.venv/bin/uv pip compile --quiet --no-python-downloads --universal --python-version 3.11 --generate-hashes
  --no-emit-index-url --no-emit-find-links)
if [ "${1:-}" = --cpu ]; then
  grep -oE '^(torch|torchvision)==[^ ]+' requirements.lock | "${compile[@]}" --no-deps \
    --default-index "${2:-https://download.pytorch.org/whl/cpu}" --custom-compile-command "tools/lock.sh --cpu" \
    --output-file requirements-cpu.lock -
else
  "${compile[@]}" "$@" --fork-strategy fewest --extra convert --extra detect --extra dicom --extra export --extra parquet --extra serve --extra tensorboard --extra timm --group dev \
    --custom-compile-command tools/lock.sh --output-file requirements.lock pyproject.toml
fi
