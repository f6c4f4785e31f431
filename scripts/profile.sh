#!/usr/bin/env bash
# Watches where requests spend their time, and writes that to bench/requests.profdata, by which `make release` lays
# out the program: an instrumented build under the bench's load. It takes two long builds and two minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
seen=$target/seen
# The tool must read what this compiler writes.
llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
merge=$(ls "$(rustc --print sysroot)"/lib/rustlib/*/bin/llvm-profdata 2>/dev/null || command -v "llvm-profdata-$llvm" || true)
if [ -z "$merge" ]; then
  echo "installing: llvm-$llvm" >&2
  apt-get update -qq >&2 && apt-get install -y -qq "llvm-$llvm" >&2
  merge=llvm-profdata-$llvm
fi
# In a folder of its own: what is built with other flags would be built anew.
CARGO_TARGET_DIR=$target/profile RUSTFLAGS="-Cprofile-generate=$seen" cargo build --release --workspace --locked --quiet
# Build scripts and macros have run as well.
rm -rf "$seen"
LLVM_PROFILE_FILE=$seen/%m-%p.profraw "$target/profile/release/aione-bench" suite --aione "$target/profile/release/aione" \
  --only plain,big,stream,paced --seconds 2 --rounds 1 --out "$seen/report.md" >&2
"$merge" merge --sparse --output bench/requests.profdata "$seen"/*.profraw
ls -l bench/requests.profdata
