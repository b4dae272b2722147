"""Which of the user's own reviews."""
