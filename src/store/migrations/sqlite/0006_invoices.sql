-- What was charged, class by class: by quarter of an hour, so that a month begins in any zone where one
-- does. A charge belongs to one invoice, and until it is in one to none.
CREATE TABLE charges (
    org_id       BLOB NOT NULL,
    invoice_id   BLOB NOT NULL, -- empty: none yet
    start_at     INTEGER NOT NULL,
    model        TEXT NOT NULL,
    class        TEXT NOT NULL,
    quantity     INTEGER NOT NULL,
    amount_units INTEGER NOT NULL,
    amount_pico  INTEGER NOT NULL,
    PRIMARY KEY (org_id, invoice_id, start_at, model, class)
) STRICT, WITHOUT ROWID;

-- What was charged before classes were kept apart. In halves of six digits: a sum of whole ones may leave
-- 64 bits.
INSERT INTO charges
SELECT org_id, x'', start_at, model, 'mixed', quantity,
       units + high / 1000000 + ((high % 1000000) * 1000000 + low) / 1000000000000,
       ((high % 1000000) * 1000000 + low) % 1000000000000
FROM (
    SELECT org_id, at - at % 900000 AS start_at, COALESCE(model, '') AS model, COUNT(*) AS quantity,
           SUM(amount_units) AS units, SUM(amount_pico / 1000000) AS high, SUM(amount_pico % 1000000) AS low
    FROM ledger_entries
    WHERE kind = 'usage'
    GROUP BY 1, 2, 3
);

ALTER TABLE organizations ADD COLUMN tax_rate_pct TEXT NOT NULL DEFAULT '0';

-- The plan that it will be on, and from when.
ALTER TABLE organizations ADD COLUMN next_plan TEXT;
ALTER TABLE organizations ADD COLUMN next_plan_at INTEGER;

-- Which plan an organization was on, and from when.
CREATE TABLE plan_assignments (
    org_id  BLOB NOT NULL,
    from_at INTEGER NOT NULL,
    plan    TEXT NOT NULL,
    PRIMARY KEY (org_id, from_at)
) STRICT, WITHOUT ROWID;
INSERT INTO plan_assignments SELECT id, created_at, plan FROM organizations;

-- The plans of the configuration as they were, and from when.
CREATE TABLE plan_versions (
    code    TEXT NOT NULL,
    from_at INTEGER NOT NULL,
    name    TEXT NOT NULL,
    monthly_fee TEXT NOT NULL,
    PRIMARY KEY (code, from_at)
) STRICT, WITHOUT ROWID;

CREATE TABLE invoices (
    id           BLOB PRIMARY KEY,
    org_id       BLOB NOT NULL,
    customer     TEXT NOT NULL,
    month        TEXT NOT NULL,
    time_zone    TEXT NOT NULL,
    billing_mode TEXT NOT NULL,
    currency     TEXT NOT NULL,
    tax_rate_pct TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    -- Amounts that nothing adds up are kept as the decimals that they are.
    lines        TEXT NOT NULL,
    subtotal     TEXT NOT NULL,
    tax          TEXT NOT NULL,
    number       INTEGER UNIQUE,
    status       TEXT NOT NULL,
    issued_at    INTEGER,
    due_at       INTEGER,
    paid_at      INTEGER,
    paid         TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX invoices_by_org ON invoices (org_id, created_at, id);
-- A month is closed once, but for drafts that became void.
CREATE UNIQUE INDEX invoices_by_month ON invoices (org_id, month) WHERE status <> 'void' OR number IS NOT NULL;

CREATE TABLE credit_notes (
    id         BLOB PRIMARY KEY,
    invoice_id BLOB NOT NULL REFERENCES invoices (id),
    number     INTEGER NOT NULL UNIQUE,
    amount     TEXT NOT NULL,
    tax        TEXT NOT NULL,
    note       TEXT NOT NULL,
    issued_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX credit_notes_by_invoice ON credit_notes (invoice_id, number);

-- The number that was given last, of each series.
CREATE TABLE numbers (
    series TEXT PRIMARY KEY,
    last   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO numbers VALUES ('invoice', 0), ('credit_note', 0);

CREATE TRIGGER invoices_stay BEFORE UPDATE ON invoices
WHEN OLD.number IS NOT NULL AND (
    OLD.id IS NOT NEW.id OR OLD.org_id IS NOT NEW.org_id OR OLD.customer IS NOT NEW.customer OR OLD.month IS NOT NEW.month
    OR OLD.time_zone IS NOT NEW.time_zone OR OLD.billing_mode IS NOT NEW.billing_mode
    OR OLD.currency IS NOT NEW.currency OR OLD.tax_rate_pct IS NOT NEW.tax_rate_pct
    OR OLD.created_at IS NOT NEW.created_at OR OLD.lines IS NOT NEW.lines
    OR OLD.subtotal IS NOT NEW.subtotal OR OLD.tax IS NOT NEW.tax OR OLD.number IS NOT NEW.number
    OR OLD.issued_at IS NOT NEW.issued_at OR OLD.due_at IS NOT NEW.due_at
    OR (OLD.paid_at IS NOT NULL AND (OLD.paid_at IS NOT NEW.paid_at OR OLD.paid IS NOT NEW.paid))
    OR (OLD.status <> 'issued' AND OLD.status <> NEW.status)
    OR NEW.status = 'draft')
BEGIN SELECT RAISE(ABORT, 'an issued invoice is never changed'); END;
CREATE TRIGGER invoices_remain BEFORE DELETE ON invoices
BEGIN SELECT RAISE(ABORT, 'an invoice is never deleted'); END;
CREATE TRIGGER credit_notes_stay BEFORE UPDATE ON credit_notes
BEGIN SELECT RAISE(ABORT, 'a credit note is never changed'); END;
CREATE TRIGGER credit_notes_remain BEFORE DELETE ON credit_notes
BEGIN SELECT RAISE(ABORT, 'a credit note is never deleted'); END;
