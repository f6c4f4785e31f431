#!/usr/bin/env bash
# Runs the whole bench against the release build and keeps its table under bench/results/.
set -euo pipefail
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
exec "$target/release/aione-bench" suite --aione "$target/release/aione" --out "bench/results/$(date +%F).md" "$@"
