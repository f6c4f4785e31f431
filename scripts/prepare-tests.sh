#!/usr/bin/env bash
# Installs what the tests need and is missing, from Debian's packages, and builds the fuzz targets.
set -euo pipefail
missing=()
command -v python3 >/dev/null || missing+=(python3)
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
# Debian 12 has Node 18, which the SDKs take; agents want 20.
{ command -v node && command -v npm; } >/dev/null || missing+=(nodejs npm)
command -v cmake >/dev/null || missing+=(cmake)
command -v c++ >/dev/null || missing+=(g++)
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || missing+=(postgresql)
command -v redis-server >/dev/null || missing+=(redis-server)
command -v curl >/dev/null || missing+=(curl)
command -v jq >/dev/null || missing+=(jq)
if ((${#missing[@]})); then
  echo "installing: ${missing[*]}" >&2
  # The package would make and start a server of the machine's own, which nobody here asks for.
  if [[ " ${missing[*]} " == *" postgresql "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
    mkdir -p /etc/postgresql-common
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
  fi
  apt-get update -qq >&2 && apt-get install -y -qq "${missing[@]}" >&2
  # The same of this one, which cannot be told before.
  if [[ " ${missing[*]} " == *" redis-server "* ]] && command -v systemctl >/dev/null; then
    systemctl disable --now redis-server >&2 2>/dev/null || true
  fi
fi
command -v cargo-nextest >/dev/null || cargo install --locked --quiet cargo-nextest
command -v cargo-fuzz >/dev/null || cargo install --locked --quiet cargo-fuzz
# Here and not by its test: from nothing it takes minutes, which are no test's fault.
scripts/fuzz.sh build
