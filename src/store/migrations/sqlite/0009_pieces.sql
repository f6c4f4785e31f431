-- What is sold by the piece besides images and searches: characters of a text that was spoken, and seconds of a
-- recording that was heard. Nothing of the kind was counted before.
ALTER TABLE usage_records ADD COLUMN characters INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_records ADD COLUMN seconds INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_rollups ADD COLUMN characters INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage_rollups ADD COLUMN seconds INTEGER NOT NULL DEFAULT 0;
