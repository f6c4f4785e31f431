-- The trail of writes, and the answers that their repetitions get; and teams that are gone.

-- A deleted team keeps its row for the sake of its usage, under the name that it had; another team may
-- take that name.
ALTER TABLE teams ADD COLUMN deleted_at INTEGER;
ALTER TABLE teams ADD COLUMN former_name TEXT;

CREATE TABLE audit (
    id         BLOB PRIMARY KEY,
    at         INTEGER NOT NULL,
    org_id     BLOB, -- null: of the gateway as a whole
    actor_kind TEXT NOT NULL,
    actor_id   TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    address    TEXT,
    action     TEXT NOT NULL,
    object     TEXT NOT NULL,
    object_id  TEXT NOT NULL,
    before     TEXT, -- JSON, without secrets
    after      TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_by_org ON audit (org_id, id);
CREATE INDEX audit_by_object ON audit (object_id, id);
CREATE INDEX audit_by_actor ON audit (actor_id, id);

CREATE TABLE kept_answers (
    scope      BLOB PRIMARY KEY, -- hash of organization, actor, route and Idempotency-Key
    request    BLOB NOT NULL,    -- hash of the body
    status     INTEGER NOT NULL,
    sealed     BLOB NOT NULL,
    kept_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX kept_answers_by_end ON kept_answers (kept_until);

PRAGMA user_version = 3;
