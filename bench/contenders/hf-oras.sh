#!/usr/bin/env bash
# Download to disk, then push. Expects MODEL, COMMIT, TARGET (registry/repository:tag) and WORKERS, PLAIN_HTTP where the
# registry has no TLS; HF_ENDPOINT is the hub's.
set -euo pipefail

hf download "$MODEL" --revision "$COMMIT" --local-dir model --max-workers "$WORKERS"
cd model
if [[ ${PLAIN_HTTP:-} ]]; then transport=(--plain-http); else transport=(--ca-file "$SSL_CERT_FILE"); fi
oras push "${transport[@]}" --concurrency "$WORKERS" "$TARGET" -- *.safetensors
