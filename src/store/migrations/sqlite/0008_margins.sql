-- What the operator pays for an answer: a decimal, or null where it is not known; and the attempts that
-- failed before it, as JSON, where there were any.
ALTER TABLE usage_records ADD COLUMN outlay TEXT;
ALTER TABLE usage_records ADD COLUMN failed_attempts TEXT;

-- What attempts at a deployment came to, by quarter of an hour. Revenue is what organizations were charged
-- for its answers; that of answers whose cost is not known stands apart.
CREATE TABLE margins (
    start_at               INTEGER NOT NULL,
    org_id                 BLOB NOT NULL,
    model                  TEXT NOT NULL,
    provider               TEXT NOT NULL,
    upstream_model         TEXT NOT NULL,
    attempts               INTEGER NOT NULL,
    failed                 INTEGER NOT NULL,
    uncosted               INTEGER NOT NULL,
    unpriced               INTEGER NOT NULL,
    revenue_units          INTEGER NOT NULL,
    revenue_pico           INTEGER NOT NULL,
    uncosted_revenue_units INTEGER NOT NULL,
    uncosted_revenue_pico  INTEGER NOT NULL,
    cost_units             INTEGER NOT NULL,
    cost_pico              INTEGER NOT NULL,
    PRIMARY KEY (start_at, org_id, model, provider, upstream_model)
) STRICT, WITHOUT ROWID;

-- Of what is there nobody knows what it cost; what reached no provider cost nothing. In halves of six
-- digits: a sum of whole ones may leave 64 bits.
INSERT INTO margins
SELECT start_at, org_id, model, provider, upstream_model, attempts, failed, attempts, unpriced, 0, 0,
       units + high / 1000000 + ((high % 1000000) * 1000000 + low) / 1000000000000,
       ((high % 1000000) * 1000000 + low) % 1000000000000, 0, 0
FROM (
    SELECT started_at - started_at % 900000 AS start_at, org_id, model, provider, upstream_model,
           SUM(attempts) AS attempts, SUM(iif(ended = 'upstream_error', attempts, 0)) AS failed,
           SUM(unpriced) AS unpriced, SUM(cost_units) AS units, SUM(cost_pico / 1000000) AS high,
           SUM(cost_pico % 1000000) AS low
    FROM usage_records
    WHERE provider <> '' AND (attempts > 0 OR unpriced OR cost_units > 0 OR cost_pico > 0)
    GROUP BY 1, 2, 3, 4, 5
);
