"""Erasing a user beyond the store: recorded answers, snapshots, rejects and outputs."""
