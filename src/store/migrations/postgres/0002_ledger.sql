-- What organizations were charged and what they paid. An entry moves its amount between the two accounts
-- that domain::ledger gives its kind, and is never changed.
CREATE TABLE ledger_entries (
    id           uuid PRIMARY KEY, -- of usage: the record's
    org_id       uuid NOT NULL,
    at           bigint NOT NULL, -- when it counts
    recorded_at  bigint NOT NULL, -- when it was entered
    kind         text COLLATE "C" NOT NULL,
    -- The amount is amount_units + amount_pico * 10^-12, with 0 <= amount_pico < 10^12.
    amount_units bigint NOT NULL,
    amount_pico  bigint NOT NULL,
    model        text COLLATE "C",
    note         text COLLATE "C"
);

-- What the entries come to, kept in the transaction that enters them: the audit compares the two.
CREATE TABLE ledger_totals (
    org_id       uuid NOT NULL,
    kind         text COLLATE "C" NOT NULL,
    entries      bigint NOT NULL,
    amount_units bigint NOT NULL,
    amount_pico  bigint NOT NULL,
    PRIMARY KEY (org_id, kind)
);
ALTER TABLE ledger_totals SET (fillfactor = 50);

INSERT INTO ledger_entries
SELECT id, org_id, started_at, started_at, 'usage', cost_units, cost_pico, model, NULL
FROM usage_records
WHERE NOT sandbox AND (cost_units <> 0 OR cost_pico <> 0);

CREATE INDEX ledger_entries_by_org ON ledger_entries (org_id, at, id);

INSERT INTO ledger_totals
SELECT org_id, 'usage', COUNT(*),
       (SUM(amount_units) + DIV(SUM(amount_pico), 1000000000000))::bigint,
       MOD(SUM(amount_pico), 1000000000000)::bigint
FROM ledger_entries
GROUP BY org_id;

CREATE FUNCTION ledger_entries_stay() RETURNS trigger LANGUAGE plpgsql AS
'BEGIN RAISE EXCEPTION ''an entry of the ledger is never changed or deleted''; END';
CREATE TRIGGER ledger_entries_stay BEFORE UPDATE OR DELETE ON ledger_entries
FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_stay();
CREATE TRIGGER ledger_entries_remain BEFORE TRUNCATE ON ledger_entries
FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_stay();

CREATE VIEW ledger_readable AS
SELECT id, to_timestamp(at / 1000.0) AS at, to_timestamp(recorded_at / 1000.0) AS recorded_at, org_id, kind,
       amount_units + amount_pico / 1000000000000::numeric AS amount, model, note
FROM ledger_entries;
