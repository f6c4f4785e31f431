-- What organizations were charged and what they paid. An entry moves its amount between the two accounts
-- that domain::ledger gives its kind, and is never changed.
CREATE TABLE ledger_entries (
    id           BLOB PRIMARY KEY, -- of usage: the record's
    org_id       BLOB NOT NULL,
    at           INTEGER NOT NULL, -- when it counts
    recorded_at  INTEGER NOT NULL, -- when it was entered
    kind         TEXT NOT NULL,
    -- The amount is amount_units + amount_pico * 10^-12, with 0 <= amount_pico < 10^12.
    amount_units INTEGER NOT NULL,
    amount_pico  INTEGER NOT NULL,
    model        TEXT,
    note         TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_entries_by_org ON ledger_entries (org_id, at, id);

-- What the entries come to, kept in the transaction that enters them: the audit compares the two.
CREATE TABLE ledger_totals (
    org_id       BLOB NOT NULL,
    kind         TEXT NOT NULL,
    entries      INTEGER NOT NULL,
    amount_units INTEGER NOT NULL,
    amount_pico  INTEGER NOT NULL,
    PRIMARY KEY (org_id, kind)
) STRICT, WITHOUT ROWID;

INSERT INTO ledger_entries
SELECT id, org_id, started_at, started_at, 'usage', cost_units, cost_pico, model, NULL
FROM usage_records
WHERE sandbox = 0 AND (cost_units <> 0 OR cost_pico <> 0);

-- In halves of six digits: a sum of whole ones may leave 64 bits.
INSERT INTO ledger_totals
SELECT org_id, 'usage', entries,
       units + high / 1000000 + ((high % 1000000) * 1000000 + low) / 1000000000000,
       ((high % 1000000) * 1000000 + low) % 1000000000000
FROM (
    SELECT org_id, COUNT(*) AS entries, SUM(amount_units) AS units,
           SUM(amount_pico / 1000000) AS high, SUM(amount_pico % 1000000) AS low
    FROM ledger_entries
    GROUP BY org_id
);

CREATE TRIGGER ledger_entries_stay BEFORE UPDATE ON ledger_entries
BEGIN SELECT RAISE(ABORT, 'an entry of the ledger is never changed'); END;
CREATE TRIGGER ledger_entries_remain BEFORE DELETE ON ledger_entries
BEGIN SELECT RAISE(ABORT, 'an entry of the ledger is never deleted'); END;
