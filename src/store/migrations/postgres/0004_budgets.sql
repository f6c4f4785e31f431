-- What may be spent. An amount that nothing adds up is kept as the decimal that it is.
ALTER TABLE organizations ADD COLUMN billing_mode TEXT NOT NULL DEFAULT 'postpaid';
ALTER TABLE organizations ADD COLUMN credit_limit TEXT;
ALTER TABLE organizations ADD COLUMN monthly_budget TEXT;
ALTER TABLE teams ADD COLUMN monthly_budget TEXT;
ALTER TABLE keys ADD COLUMN budget TEXT;
ALTER TABLE keys ADD COLUMN budget_period TEXT NOT NULL DEFAULT 'month';
