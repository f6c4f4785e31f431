#!/usr/bin/env bash
# Builds the gateway and lets coding agents complete a task through it: tests/clients/agents/run.py. Names of agents,
# as docs/agents.md has them, leave out the others.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --bin aione
target="$(cargo metadata --format-version 1 --no-deps | jq -er .target_directory)"
exec env PYTHONDONTWRITEBYTECODE=1 python3 tests/clients/agents/run.py "$target/debug/aione" "$target/tmp/agents" "$@"
