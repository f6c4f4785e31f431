-- What is sold by the piece besides images and searches: characters of a text that was spoken, and seconds of a
-- recording that was heard. Nothing of the kind was counted before.
ALTER TABLE usage_records ADD COLUMN characters bigint NOT NULL DEFAULT 0;
ALTER TABLE usage_records ADD COLUMN seconds bigint NOT NULL DEFAULT 0;
ALTER TABLE usage_rollups ADD COLUMN characters bigint NOT NULL DEFAULT 0;
ALTER TABLE usage_rollups ADD COLUMN seconds bigint NOT NULL DEFAULT 0;

CREATE OR REPLACE VIEW usage_readable AS
SELECT id, to_timestamp(started_at / 1000.0) AS started_at, org_id, team_id, key_id, model, provider,
       upstream_model, ended, status, attempts, input, cache_read, cache_write_5m, cache_write_1h, audio_in,
       output, reasoning, audio_out, images, searches, provenance, flagged, unpriced, latency_ms, first_byte_ms,
       cost_units + cost_pico / 1000000000000::numeric AS cost, characters, seconds
FROM usage_records;
