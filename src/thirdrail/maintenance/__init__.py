"""Looking after tables: audit now; compaction, expiry and rebuild as they come."""
