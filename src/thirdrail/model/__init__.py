"""The nouns: feeds, records, tables, batches, and the protocols that join the rooms."""
