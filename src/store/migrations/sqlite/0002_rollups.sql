-- What the records come to, by span of time, team, key, model and provider, so that a report need
-- not read each of them. Kept in the transaction that inserts the records: the two never disagree.
-- The program fills this from the records that are there when it is made.

CREATE TABLE usage_rollups (
    org_id         BLOB NOT NULL,
    -- 1: of one key. 0: over all keys of the team, and key_id is empty. The second are few, however
    -- many keys there are.
    by_key         INTEGER NOT NULL,
    -- A quarter of an hour or a block of four, as domain::rollup says.
    span_ms        INTEGER NOT NULL,
    start_at       INTEGER NOT NULL,
    team_id        BLOB NOT NULL,
    key_id         BLOB NOT NULL,
    model          TEXT NOT NULL,
    provider       TEXT NOT NULL,
    requests       INTEGER NOT NULL,
    unpriced       INTEGER NOT NULL,
    faults         INTEGER NOT NULL,
    input          INTEGER NOT NULL,
    cache_read     INTEGER NOT NULL,
    cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    audio_in       INTEGER NOT NULL,
    output         INTEGER NOT NULL,
    reasoning      INTEGER NOT NULL,
    audio_out      INTEGER NOT NULL,
    images         INTEGER NOT NULL,
    searches       INTEGER NOT NULL,
    -- The cost is cost_units + cost_pico * 10^-12, with 0 <= cost_pico < 10^12.
    cost_units     INTEGER NOT NULL,
    cost_pico      INTEGER NOT NULL,
    latency_ms     INTEGER NOT NULL,
    -- A histogram as domain::histogram writes it.
    latencies      BLOB NOT NULL,
    PRIMARY KEY (org_id, by_key, span_ms, start_at, team_id, key_id, model, provider)
) STRICT, WITHOUT ROWID;

PRAGMA user_version = 2;
