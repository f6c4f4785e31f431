#!/usr/bin/env bash
# Builds the fuzz targets and lays their seeds out, or runs one of them:
#   scripts/fuzz.sh build
#   scripts/fuzz.sh run TARGET [OPTION OF LIBFUZZER | FILE]...
# Everything lands beside the other builds: programs, seeds (the tests' fixtures), what a target has
# found to be of interest (`corpus`) and what broke it (`artifacts`).
set -euo pipefail
cd "$(dirname "$0")/.."
target_dir=${CARGO_TARGET_DIR:-$PWD/target}
folder=$target_dir/fuzz
dialects=(openai_chat openai_responses anthropic_messages gemini)

# Where a seed is cut: lengths of pieces, as fuzz/src/lib.rs reads them.
cuts='~!a}0Z@'

# seed TARGET HEAD FILE NAME: the file behind its head, which is a character in octal and the cuts.
seed() {
  { printf "\\$2%s" "$cuts" && cat "$3"; } >"$folder/seeds/$1/$4-$2"
}

# The character whose lowest bits are those of a dialect, of another one, and of the flag.
head_of() {
  printf '%03o' $((32 + $1 + 4 * $2 + 16 * $3))
}

# The vendors' examples in a dialect.
usage_in() {
  jq -r --arg dialect "$1" '.bills[] | select(.dialect == $dialect) | "tests/fixtures/usage/" + .file' \
    tests/fixtures/usage/bills.json
}

lay_out() {
  rm -rf "$folder/seeds" && mkdir -p "$folder/seeds"
  local target dialect number other file name
  for target in json sse request answer stream translate peek form tap secret config; do
    mkdir -p "$folder/seeds/$target" "$folder/corpus/$target" "$folder/artifacts/$target"
  done
  for number in "${!dialects[@]}"; do
    dialect=${dialects[number]}
    for file in tests/fixtures/chat/"$dialect"/* tests/fixtures/wire/"$dialect"/* $(usage_in "$dialect"); do
      [[ -f $file ]] || continue
      name=$dialect-$(basename "$(dirname "$file")")-$(basename "$file")
      # Of the vendors' examples the ending tells what they are.
      case $(basename "$file") in
        request_*)
          seed request "$(head_of "$number" 0 0)" "$file" "$name"
          seed peek "$(head_of "$number" 0 1)" "$file" "$name"
          ;;
        stream_* | *.sse)
          seed sse "$(head_of "$number" 0 0)" "$file" "$name"
          seed stream "$(head_of "$number" 0 0)" "$file" "$name"
          seed tap "$(head_of "$number" 0 1)" "$file" "$name"
          for other in "${!dialects[@]}"; do
            seed translate "$(head_of "$number" "$other" 0)" "$file" "$name"
          done
          ;;
        *)
          seed answer "$(head_of "$number" 0 0)" "$file" "$name"
          seed tap "$(head_of "$number" 0 0)" "$file" "$name"
          ;;
      esac
      [[ $file == *.json ]] && cp "$file" "$folder/seeds/json/$name"
    done
  done
  for file in conf/*.yaml conf/*/*.yaml; do
    cp "$file" "$folder/seeds/config/$(basename "$(dirname "$file")")-$(basename "$file")"
  done
  { cat conf/aione.yaml && for file in conf/providers/*.yaml conf/prices/*.yaml; do printf '\1' && cat "$file"; done; } \
    >"$folder/seeds/config/all"
  file='Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\nsound'
  name='Content-Disposition: form-data; name="model"\r\n\r\nwhisper-1'
  printf -- "--b\r\n$file\r\n--b\r\n$name\r\n--b--\r\n" >"$folder/seeds/form/plain"
  printf -- "multipart/form-data; boundary=\"x\"\n--x\r\n$name\r\n--x\r\n$file\r\n--x--" >"$folder/seeds/form/other"
  printf 'sk-aione-%038d' 0 >"$folder/seeds/secret/plain"
  printf 'mt\nmt-%038d' 0 >"$folder/seeds/secret/other"
  # The names that the dialects and the configuration have, for the fuzzer to put in.
  grep -rhoE '"[A-Za-z_$][A-Za-z0-9_.$]*"' tests/fixtures/chat tests/fixtures/wire tests/fixtures/usage | sort -u |
    sed 's/^"\(.*\)"$/"\\"\1\\""/' >"$folder/seeds/wire.dict"
  grep -hoE '"[a-z_0-9]+"' conf/aione.schema.json | sort -u >"$folder/seeds/config.dict"
}

case ${1:-} in
  build)
    # Instrumenting asks for options that only this variable lets a stable compiler take.
    RUSTC_BOOTSTRAP=1 cargo fuzz build --fuzz-dir fuzz --sanitizer none --no-trace-compares --codegen-units 16 \
      --target-dir "$folder/build" >&2
    lay_out
    ;;
  run)
    target=$2
    shift 2
    options=(-timeout=10 -rss_limit_mb=1024 -print_final_stats=1 "-artifact_prefix=$folder/artifacts/$target/")
    case $target in
      config) options+=("-dict=$folder/seeds/config.dict") ;;
      secret) ;;
      *) options+=("-dict=$folder/seeds/wire.dict") ;;
    esac
    # A file is run by itself.
    inputs=("$folder/corpus/$target" "$folder/seeds/$target")
    for argument; do
      [[ ! -f $argument ]] || inputs=()
    done
    program=$(echo "$folder"/build/*/release/"$target")
    exec "$program" "${options[@]}" "$@" "${inputs[@]}"
    ;;
  *)
    sed -n '2,5s/^# //p' "$0" >&2
    exit 2
    ;;
esac
