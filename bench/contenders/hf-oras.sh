#!/usr/bin/env bash
# Download to disk, then push. Expects MODEL, COMMIT, TARGET (registry/repository:tag) and WORKERS; HF_ENDPOINT is the hub's.
set -euo pipefail

hf download "$MODEL" --revision "$COMMIT" --local-dir model --max-workers "$WORKERS"
cd model
oras push --plain-http --concurrency "$WORKERS" "$TARGET" -- *.safetensors
