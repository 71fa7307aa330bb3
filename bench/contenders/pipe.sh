#!/usr/bin/env bash
# What one writes without a tool: each file streamed by curl from the hub into the registry, hashed on its way.
# Expects HUB (URL up to the file's name), REGISTRY (URL up to the repository) and WORKERS; files are the arguments.
# A named pipe instead of >(sha256sum): bash does not wait for the latter, and its CPU time would be lost.
set -euo pipefail

push() {
  local file=$1 uploads="$REGISTRY/blobs/uploads/" location
  location=$(curl -sSf -X POST -o /dev/null -D - "$uploads" | location)
  mkfifo "$file.fifo"
  sha256sum <"$file.fifo" >"$file.sha256" &
  location=$(curl -sSfL "$HUB/$file" | tee "$file.fifo" |
    curl -sSf -X PATCH -T - -H 'content-type: application/octet-stream' -o /dev/null -D - "$location" | location)
  wait $!
  curl -sSf -X PUT -o /dev/null "$location&digest=sha256:$(cut -c1-64 "$file.sha256")"
}

location() {
  tr -d '\r' | sed -n 's/^[Ll]ocation: //p' | tail -1
}

export -f push location
printf '%s\n' "$@" | xargs -P "$WORKERS" -I{} bash -euo pipefail -c 'push {}'
