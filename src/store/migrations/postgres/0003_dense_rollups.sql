-- Rollups over all keys apart from those of one key, of which there are many more: a report without keys
-- reads pages that hold nothing else.
ALTER TABLE usage_rollups RENAME TO usage_rollups_mixed;
CREATE TABLE usage_rollups (LIKE usage_rollups_mixed) PARTITION BY LIST (by_key);
CREATE TABLE usage_rollups_of_teams PARTITION OF usage_rollups FOR VALUES IN (false)
WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
CREATE TABLE usage_rollups_of_keys PARTITION OF usage_rollups FOR VALUES IN (true)
WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);
INSERT INTO usage_rollups
SELECT * FROM usage_rollups_mixed
ORDER BY org_id, by_key, span_ms, start_at, team_id, key_id, model, provider;
ALTER TABLE usage_rollups
ADD PRIMARY KEY (org_id, by_key, span_ms, start_at, team_id, key_id, model, provider);
DROP TABLE usage_rollups_mixed;
