-- Keys, those who own them, what they used, and the trail of what was changed.
--
-- Times are milliseconds since 1970 UTC. Counts and price versions are unsigned 64-bit numbers in the
-- bits of a signed one. Names and codes are ordered by their bytes ("C"), as everywhere in the product.
-- `usage_readable`, at the end, shows records as people write times and amounts.

-- Facts about this store itself, such as which pepper its hashes were made under.
CREATE TABLE meta (
    name  text PRIMARY KEY,
    value bytea NOT NULL
);

CREATE TABLE organizations (
    id          uuid PRIMARY KEY,
    slug        text COLLATE "C" NOT NULL UNIQUE,
    name        text COLLATE "C" NOT NULL,
    plan        text COLLATE "C" NOT NULL,
    rpm         bigint,
    tpm         bigint,
    rpd         bigint,
    concurrency bigint,
    time_zone   text NOT NULL,
    created_at  bigint NOT NULL
);

-- A deleted team keeps its row for the sake of its usage, under the name that it had; another team may
-- take that name.
CREATE TABLE teams (
    id          uuid PRIMARY KEY,
    org_id      uuid NOT NULL REFERENCES organizations (id),
    name        text COLLATE "C" NOT NULL,
    rpm         bigint,
    tpm         bigint,
    rpd         bigint,
    concurrency bigint,
    created_at  bigint NOT NULL,
    deleted_at  bigint,
    former_name text COLLATE "C",
    UNIQUE (org_id, name),
    UNIQUE (org_id, id)
);

-- A deleted key keeps its row, so that its usage keeps its name, and loses its secrets.
CREATE TABLE keys (
    id                 uuid PRIMARY KEY,
    org_id             uuid NOT NULL,
    team_id            uuid NOT NULL,
    name               text COLLATE "C" NOT NULL,
    prefix             text COLLATE "C" NOT NULL,
    models_allowed     text NOT NULL, -- a JSON array of names
    allowed_ips        text NOT NULL, -- a JSON array of networks
    rpm                bigint,
    tpm                bigint,
    rpd                bigint,
    concurrency        bigint,
    is_sandbox         boolean NOT NULL,
    expires_at         bigint,
    disabled           boolean NOT NULL DEFAULT false,
    rotate_grace_until bigint,
    created_at         bigint NOT NULL,
    last_used_at       bigint,
    deleted_at         bigint,
    metadata           text NOT NULL, -- a JSON object
    -- Both columns, so that no key can stand in another organization's team.
    FOREIGN KEY (org_id, team_id) REFERENCES teams (org_id, id)
);

CREATE INDEX keys_by_org ON keys (org_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX keys_by_team ON keys (org_id, team_id) WHERE deleted_at IS NULL;

-- A key's present secret (dies_at is null) and its former ones within their grace.
CREATE TABLE key_secrets (
    hash    bytea PRIMARY KEY,
    key_id  uuid NOT NULL REFERENCES keys (id),
    dies_at bigint
);

CREATE INDEX key_secrets_by_key ON key_secrets (key_id);

CREATE TABLE management_tokens (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES organizations (id),
    name       text COLLATE "C" NOT NULL,
    role       text NOT NULL,
    expires_at bigint,
    created_at bigint NOT NULL,
    hash       bytea NOT NULL UNIQUE
);

CREATE INDEX management_tokens_by_org ON management_tokens (org_id, created_at, id);

-- No foreign keys: a record must be kept whatever became of the key it belongs to. A partition holds a
-- calendar month in UTC; the program makes each before its first record. Ids rise with time, and the
-- same record always has the same started_at.
CREATE TABLE usage_records (
    id              uuid NOT NULL,
    started_at      bigint NOT NULL,
    org_id          uuid NOT NULL,
    team_id         uuid NOT NULL,
    key_id          uuid NOT NULL,
    model           text COLLATE "C" NOT NULL,
    dialect         text COLLATE "C" NOT NULL,
    first_provider  text COLLATE "C" NOT NULL,
    sandbox         boolean NOT NULL,
    streamed        boolean NOT NULL,
    price_version   bigint NOT NULL,
    estimated_input bigint NOT NULL,
    provider        text COLLATE "C" NOT NULL,
    upstream_model  text COLLATE "C" NOT NULL,
    ended           text COLLATE "C" NOT NULL,
    status          bigint NOT NULL,
    attempts        bigint NOT NULL,
    input           bigint NOT NULL,
    cache_read      bigint NOT NULL,
    cache_write_5m  bigint NOT NULL,
    cache_write_1h  bigint NOT NULL,
    audio_in        bigint NOT NULL,
    output          bigint NOT NULL,
    reasoning       bigint NOT NULL,
    audio_out       bigint NOT NULL,
    images          bigint NOT NULL,
    searches        bigint NOT NULL,
    provenance      text COLLATE "C" NOT NULL,
    flagged         boolean NOT NULL,
    -- The cost is not known, and 0 below.
    unpriced        boolean NOT NULL,
    latency_ms      bigint NOT NULL,
    first_byte_ms   bigint NOT NULL,
    -- The cost is cost_units + cost_pico * 10^-12, with 0 <= cost_pico < 10^12.
    cost_units      bigint NOT NULL,
    cost_pico       bigint NOT NULL,
    PRIMARY KEY (id, started_at)
) PARTITION BY RANGE (started_at);

-- For clocks gone wrong.
CREATE TABLE usage_records_other PARTITION OF usage_records DEFAULT;

CREATE INDEX usage_records_by_org ON usage_records (org_id, started_at, id);

CREATE TABLE price_books (
    version bigint PRIMARY KEY,
    kept_at bigint NOT NULL,
    body    text NOT NULL -- the book as JSON
);

-- What the records come to, by span of time, team, key, model and provider, so that a report need
-- not read each of them. Kept in the transaction that inserts the records: the two never disagree.
CREATE TABLE usage_rollups (
    org_id         uuid NOT NULL,
    -- True: of one key. False: over all keys of the team, and key_id is all zeros. The second are few,
    -- however many keys there are.
    by_key         boolean NOT NULL,
    -- A quarter of an hour or a block of four, as domain::rollup says.
    span_ms        bigint NOT NULL,
    start_at       bigint NOT NULL,
    team_id        uuid NOT NULL,
    key_id         uuid NOT NULL,
    model          text COLLATE "C" NOT NULL,
    provider       text COLLATE "C" NOT NULL,
    requests       bigint NOT NULL,
    unpriced       bigint NOT NULL,
    faults         bigint NOT NULL,
    input          bigint NOT NULL,
    cache_read     bigint NOT NULL,
    cache_write_5m bigint NOT NULL,
    cache_write_1h bigint NOT NULL,
    audio_in       bigint NOT NULL,
    output         bigint NOT NULL,
    reasoning      bigint NOT NULL,
    audio_out      bigint NOT NULL,
    images         bigint NOT NULL,
    searches       bigint NOT NULL,
    cost_units     bigint NOT NULL,
    cost_pico      bigint NOT NULL,
    latency_ms     bigint NOT NULL,
    -- A histogram as domain::histogram writes it.
    latencies      bytea NOT NULL,
    PRIMARY KEY (org_id, by_key, span_ms, start_at, team_id, key_id, model, provider)
);
-- Rows of the present are written again with every batch: half a page stays free, so that a new version
-- of a row lies beside the former one and no index changes.
ALTER TABLE usage_rollups SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE audit (
    id         uuid PRIMARY KEY,
    at         bigint NOT NULL,
    org_id     uuid, -- null: of the gateway as a whole
    actor_kind text COLLATE "C" NOT NULL,
    actor_id   text COLLATE "C" NOT NULL,
    actor_name text COLLATE "C" NOT NULL,
    address    text,
    action     text COLLATE "C" NOT NULL,
    object     text COLLATE "C" NOT NULL,
    object_id  text COLLATE "C" NOT NULL,
    before     text, -- JSON, without secrets
    after      text
);

CREATE INDEX audit_by_org ON audit (org_id, id);
CREATE INDEX audit_by_object ON audit (object_id, id);
CREATE INDEX audit_by_actor ON audit (actor_id, id);

CREATE TABLE kept_answers (
    scope      bytea PRIMARY KEY, -- hash of organization, actor, route and Idempotency-Key
    request    bytea NOT NULL,    -- hash of the body
    status     bigint NOT NULL,
    sealed     bytea NOT NULL,
    kept_until bigint NOT NULL
);

CREATE INDEX kept_answers_by_end ON kept_answers (kept_until);

CREATE VIEW usage_readable AS
SELECT id, to_timestamp(started_at / 1000.0) AS started_at, org_id, team_id, key_id, model, provider,
       upstream_model, ended, status, attempts, input, cache_read, cache_write_5m, cache_write_1h, audio_in,
       output, reasoning, audio_out, images, searches, provenance, flagged, unpriced, latency_ms, first_byte_ms,
       cost_units + cost_pico / 1000000000000::numeric AS cost
FROM usage_records;
