"""Which other users' reviews."""
