"""A seeded world of reviews with planted truth."""
