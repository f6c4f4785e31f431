-- Whoever charges meanwhile waits: what is entered after the copy below would be in no invoice.
LOCK TABLE ledger_entries IN SHARE MODE;

-- What was charged, class by class: by quarter of an hour, so that a month begins in any zone where one
-- does. A charge belongs to one invoice, and until it is in one to none.
CREATE TABLE charges (
    org_id       uuid NOT NULL,
    invoice_id   uuid NOT NULL, -- nil: none yet
    start_at     bigint NOT NULL,
    model        text COLLATE "C" NOT NULL,
    class        text COLLATE "C" NOT NULL,
    quantity     bigint NOT NULL,
    amount_units bigint NOT NULL,
    amount_pico  bigint NOT NULL,
    PRIMARY KEY (org_id, invoice_id, start_at, model, class)
);
ALTER TABLE charges SET (fillfactor = 50);

-- What was charged before classes were kept apart.
INSERT INTO charges
SELECT org_id, '00000000-0000-0000-0000-000000000000', at - at % 900000, COALESCE(model, ''), 'mixed', COUNT(*),
       (SUM(amount_units) + DIV(SUM(amount_pico), 1000000000000))::bigint,
       MOD(SUM(amount_pico), 1000000000000)::bigint
FROM ledger_entries
WHERE kind = 'usage'
GROUP BY 1, 3, 4;

ALTER TABLE organizations ADD COLUMN tax_rate_pct text NOT NULL DEFAULT '0';

-- The plan that it will be on, and from when.
ALTER TABLE organizations ADD COLUMN next_plan text COLLATE "C";
ALTER TABLE organizations ADD COLUMN next_plan_at bigint;

-- Which plan an organization was on, and from when.
CREATE TABLE plan_assignments (
    org_id  uuid NOT NULL,
    from_at bigint NOT NULL,
    plan    text COLLATE "C" NOT NULL,
    PRIMARY KEY (org_id, from_at)
);
INSERT INTO plan_assignments SELECT id, created_at, plan FROM organizations;

-- The plans of the configuration as they were, and from when.
CREATE TABLE plan_versions (
    code    text COLLATE "C" NOT NULL,
    from_at bigint NOT NULL,
    name    text NOT NULL,
    monthly_fee text NOT NULL,
    PRIMARY KEY (code, from_at)
);

CREATE TABLE invoices (
    id           uuid PRIMARY KEY,
    org_id       uuid NOT NULL,
    customer     text NOT NULL,
    month        text COLLATE "C" NOT NULL,
    time_zone    text NOT NULL,
    billing_mode text NOT NULL,
    currency     text NOT NULL,
    tax_rate_pct text NOT NULL,
    created_at   bigint NOT NULL,
    -- Amounts that nothing adds up are kept as the decimals that they are.
    lines        text NOT NULL,
    subtotal     text NOT NULL,
    tax          text NOT NULL,
    number       bigint UNIQUE,
    status       text NOT NULL,
    issued_at    bigint,
    due_at       bigint,
    paid_at      bigint,
    paid         text
);
CREATE INDEX invoices_by_org ON invoices (org_id, created_at, id);
-- A month is closed once, but for drafts that became void.
CREATE UNIQUE INDEX invoices_by_month ON invoices (org_id, month) WHERE status <> 'void' OR number IS NOT NULL;

CREATE TABLE credit_notes (
    id         uuid PRIMARY KEY,
    invoice_id uuid NOT NULL REFERENCES invoices (id),
    number     bigint NOT NULL UNIQUE,
    amount     text NOT NULL,
    tax        text NOT NULL,
    note       text NOT NULL,
    issued_at  bigint NOT NULL
);
CREATE INDEX credit_notes_by_invoice ON credit_notes (invoice_id, number);

-- The number that was given last, of each series.
CREATE TABLE numbers (
    series text PRIMARY KEY,
    last   bigint NOT NULL
);
INSERT INTO numbers VALUES ('invoice', 0), ('credit_note', 0);

CREATE FUNCTION invoices_stay() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN
    IF OLD.number IS NOT NULL AND (
        (OLD.id, OLD.org_id, OLD.customer, OLD.month, OLD.time_zone, OLD.billing_mode, OLD.currency, OLD.tax_rate_pct,
         OLD.created_at, OLD.lines, OLD.subtotal, OLD.tax, OLD.number, OLD.issued_at, OLD.due_at)
        IS DISTINCT FROM
        (NEW.id, NEW.org_id, NEW.customer, NEW.month, NEW.time_zone, NEW.billing_mode, NEW.currency, NEW.tax_rate_pct,
         NEW.created_at, NEW.lines, NEW.subtotal, NEW.tax, NEW.number, NEW.issued_at, NEW.due_at)
        OR (OLD.paid_at IS NOT NULL AND (OLD.paid_at, OLD.paid) IS DISTINCT FROM (NEW.paid_at, NEW.paid))
        OR (OLD.status <> ''issued'' AND OLD.status <> NEW.status)
        OR NEW.status = ''draft''
    ) THEN
        RAISE EXCEPTION ''an issued invoice is never changed'';
    END IF;
    RETURN NEW;
END';
CREATE TRIGGER invoices_stay BEFORE UPDATE ON invoices FOR EACH ROW EXECUTE FUNCTION invoices_stay();
CREATE FUNCTION documents_remain() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN RAISE EXCEPTION ''an invoice or credit note is never changed or deleted''; END';
CREATE TRIGGER invoices_remain BEFORE DELETE OR TRUNCATE ON invoices
FOR EACH STATEMENT EXECUTE FUNCTION documents_remain();
CREATE TRIGGER credit_notes_remain BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_notes
FOR EACH STATEMENT EXECUTE FUNCTION documents_remain();
