-- Keys, those who own them, and what they used.
--
-- Ids are the sixteen bytes of a UUID. Times are milliseconds since 1970 UTC. Counts and price
-- versions are unsigned 64-bit numbers in the bits of a signed one. Flags are 0 or 1.

-- Facts about this store itself, such as which pepper its hashes were made under.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE organizations (
    id          BLOB PRIMARY KEY,
    slug        TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    plan        TEXT NOT NULL,
    rpm         INTEGER,
    tpm         INTEGER,
    rpd         INTEGER,
    concurrency INTEGER,
    time_zone   TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE teams (
    id          BLOB PRIMARY KEY,
    org_id      BLOB NOT NULL REFERENCES organizations (id),
    name        TEXT NOT NULL,
    rpm         INTEGER,
    tpm         INTEGER,
    rpd         INTEGER,
    concurrency INTEGER,
    created_at  INTEGER NOT NULL,
    UNIQUE (org_id, name),
    UNIQUE (org_id, id)
) STRICT, WITHOUT ROWID;

-- A deleted key keeps its row, so that its usage keeps its name, and loses its secrets.
CREATE TABLE keys (
    id                 BLOB PRIMARY KEY,
    org_id             BLOB NOT NULL,
    team_id            BLOB NOT NULL,
    name               TEXT NOT NULL,
    prefix             TEXT NOT NULL,
    models_allowed     TEXT NOT NULL, -- a JSON array of names
    allowed_ips        TEXT NOT NULL, -- a JSON array of networks
    rpm                INTEGER,
    tpm                INTEGER,
    rpd                INTEGER,
    concurrency        INTEGER,
    is_sandbox         INTEGER NOT NULL,
    expires_at         INTEGER,
    disabled           INTEGER NOT NULL DEFAULT 0,
    rotate_grace_until INTEGER,
    created_at         INTEGER NOT NULL,
    last_used_at       INTEGER,
    deleted_at         INTEGER,
    metadata           TEXT NOT NULL, -- a JSON object
    -- Both columns, so that no key can stand in another organization's team.
    FOREIGN KEY (org_id, team_id) REFERENCES teams (org_id, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_by_org ON keys (org_id, created_at, id) WHERE deleted_at IS NULL;

-- A key's present secret (dies_at is null) and its former ones within their grace.
CREATE TABLE key_secrets (
    hash    BLOB PRIMARY KEY,
    key_id  BLOB NOT NULL REFERENCES keys (id),
    dies_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX key_secrets_by_key ON key_secrets (key_id);

CREATE TABLE management_tokens (
    id         BLOB PRIMARY KEY,
    org_id     BLOB NOT NULL REFERENCES organizations (id),
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    expires_at INTEGER,
    created_at INTEGER NOT NULL,
    hash       BLOB NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;

-- No foreign keys: a record must be kept whatever became of the key it belongs to.
CREATE TABLE usage_records (
    id              BLOB PRIMARY KEY,
    started_at      INTEGER NOT NULL,
    org_id          BLOB NOT NULL,
    team_id         BLOB NOT NULL,
    key_id          BLOB NOT NULL,
    model           TEXT NOT NULL,
    dialect         TEXT NOT NULL,
    first_provider  TEXT NOT NULL,
    sandbox         INTEGER NOT NULL,
    streamed        INTEGER NOT NULL,
    price_version   INTEGER NOT NULL,
    estimated_input INTEGER NOT NULL,
    provider        TEXT NOT NULL,
    upstream_model  TEXT NOT NULL,
    ended           TEXT NOT NULL,
    status          INTEGER NOT NULL,
    attempts        INTEGER NOT NULL,
    input           INTEGER NOT NULL,
    cache_read      INTEGER NOT NULL,
    cache_write_5m  INTEGER NOT NULL,
    cache_write_1h  INTEGER NOT NULL,
    audio_in        INTEGER NOT NULL,
    output          INTEGER NOT NULL,
    reasoning       INTEGER NOT NULL,
    audio_out       INTEGER NOT NULL,
    images          INTEGER NOT NULL,
    searches        INTEGER NOT NULL,
    provenance      TEXT NOT NULL,
    flagged         INTEGER NOT NULL,
    -- The cost is not known, and 0 below.
    unpriced        INTEGER NOT NULL,
    latency_ms      INTEGER NOT NULL,
    first_byte_ms   INTEGER NOT NULL,
    -- The cost is cost_units + cost_pico * 10^-12, with 0 <= cost_pico < 10^12.
    cost_units      INTEGER NOT NULL,
    cost_pico       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_records_by_org ON usage_records (org_id, started_at);

CREATE TABLE price_books (
    version INTEGER PRIMARY KEY,
    kept_at INTEGER NOT NULL,
    body    TEXT NOT NULL -- the book as JSON
) STRICT;

PRAGMA user_version = 1;
