"""Iceberg: catalogs and files by PyIceberg, the commit by one function of ours."""
