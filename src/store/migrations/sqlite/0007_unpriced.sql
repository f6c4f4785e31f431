-- What awaits a price is found without a look at all records.
CREATE INDEX usage_records_unpriced ON usage_records (id) WHERE unpriced;
