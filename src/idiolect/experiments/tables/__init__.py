"""The papers' tables and figures: each a small specification, run by one engine."""
