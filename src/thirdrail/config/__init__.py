"""What can be set, and what is set: one TOML file, decoded into frozen structs."""
