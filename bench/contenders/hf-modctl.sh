#!/usr/bin/env bash
# Download to disk, then build right into the registry. Expects MODEL, COMMIT, TARGET (registry/repository:tag) and WORKERS,
# PLAIN_HTTP where the registry has no TLS; HF_ENDPOINT is the hub's.
set -euo pipefail

hf download "$MODEL" --revision "$COMMIT" --local-dir model --max-workers "$WORKERS"
cd model
modctl modelfile generate .
modctl build --output-remote ${PLAIN_HTTP:+--plain-http} --no-progress --concurrency "$WORKERS" --target "$TARGET" .
