-- Whoever writes records meanwhile waits; whoever reads does not.
LOCK TABLE usage_records IN SHARE MODE;

-- What attempts at a deployment came to, by quarter of an hour. Revenue is what organizations were charged
-- for its answers; that of answers whose cost is not known stands apart.
CREATE TABLE margins (
    start_at               bigint NOT NULL,
    org_id                 uuid NOT NULL,
    model                  text COLLATE "C" NOT NULL,
    provider               text COLLATE "C" NOT NULL,
    upstream_model         text COLLATE "C" NOT NULL,
    attempts               bigint NOT NULL,
    failed                 bigint NOT NULL,
    uncosted               bigint NOT NULL,
    unpriced               bigint NOT NULL,
    revenue_units          bigint NOT NULL,
    revenue_pico           bigint NOT NULL,
    uncosted_revenue_units bigint NOT NULL,
    uncosted_revenue_pico  bigint NOT NULL,
    cost_units             bigint NOT NULL,
    cost_pico              bigint NOT NULL,
    PRIMARY KEY (start_at, org_id, model, provider, upstream_model)
);
ALTER TABLE margins SET (fillfactor = 50);

-- Of what is there nobody knows what it cost; what reached no provider cost nothing.
INSERT INTO margins
SELECT started_at - started_at % 900000, org_id, model, provider, upstream_model, SUM(attempts)::bigint,
       COALESCE(SUM(attempts) FILTER (WHERE ended = 'upstream_error'), 0)::bigint, SUM(attempts)::bigint,
       COUNT(*) FILTER (WHERE unpriced), 0, 0,
       (SUM(cost_units) + DIV(SUM(cost_pico), 1000000000000))::bigint,
       MOD(SUM(cost_pico), 1000000000000)::bigint, 0, 0
FROM usage_records
WHERE provider <> '' AND (attempts > 0 OR unpriced OR cost_units > 0 OR cost_pico > 0)
GROUP BY 1, 2, 3, 4, 5;

-- What the operator pays for an answer: a decimal, or null where it is not known; and the attempts that
-- failed before it, as JSON, where there were any. Last, for readers wait from here on.
ALTER TABLE usage_records ADD COLUMN outlay text;
ALTER TABLE usage_records ADD COLUMN failed_attempts text;
