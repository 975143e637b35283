"""What came out of a run: tables and figures (`record`), kept as Parquet beside a manifest (`keeping`)."""
