"""What the two ways into Snowflake have in common: the account, the types, the statements."""
