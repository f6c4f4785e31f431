# The project's commands. Each works on a fresh clone.

.PHONY: run release profile test clients check advisories bench long schema

# Build, start on the embedded default with the simulated provider, print a first call.
run:
	@cargo run --profile quick --quiet --bin aione -- serve

# The program for production, target/release/aione, laid out by where requests were seen to spend their time.
release:
	@RUSTFLAGS="$$RUSTFLAGS -Cprofile-use=$(CURDIR)/bench/requests.profdata" cargo build --release --workspace --locked

# See anew where that is: after a change of the request's path, of what it depends on, or of the compiler. What the
# last look does not know is built as it would be without one.
profile:
	@scripts/profile.sh

# Install what the tests need, run everything, stop what was started.
test:
	@scripts/prepare-tests.sh
	@scripts/with-postgres.sh cargo nextest run --workspace --no-fail-fast

# Coding agents complete a task through the gateway: Codex, Gemini CLI, Claude Code, opencode and aider, each before a
# model of every dialect. They are installed from their registries, well over a gigabyte; no vendor is reached.
clients:
	@scripts/prepare-tests.sh
	@scripts/clients.sh

# What a change must pass besides the tests.
check:
	@cargo fmt --all -- --check
	@cargo fmt --manifest-path fuzz/Cargo.toml -- --check
	@cargo metadata --manifest-path fuzz/Cargo.toml --locked --format-version 1 >/dev/null
	@cargo clippy --workspace --all-targets --locked -- -D warnings
	@RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --workspace --no-deps --document-private-items --locked --quiet
	@command -v cargo-deny >/dev/null || cargo install --locked --quiet cargo-deny
	@cargo deny --log-level error check bans licenses sources

# Known advisories against what we depend on; asks the advisory database, so it needs the network.
advisories:
	@cargo deny --log-level error check advisories

# The table of bench/README.md: ours beside bare Pingora and nginx, from one run.
bench: release
	@scripts/bench.sh

# What takes longer than a test run may: run by hand, its figures go into the notes.
long:
	@scripts/prepare-tests.sh
	@AIONE_TEST_KILLS=200 AIONE_TEST_AWAY_SECONDS=600 AIONE_TEST_SCHEMATHESIS_SECONDS=1200 \
		AIONE_TEST_EXPORT_ROWS=1000000 AIONE_TEST_CALCULATED=100000 AIONE_TEST_FUZZ_RUNS=10000000 scripts/with-postgres.sh cargo nextest run --workspace --profile long

# Write what is generated: the configuration's schema and the API's description.
schema:
	@cargo run --quiet --bin aione -- schema > schema.new && mv schema.new conf/aione.schema.json
	@cargo run --quiet -p aione-admin --example openapi > openapi.new && mv openapi.new admin/openapi.json
