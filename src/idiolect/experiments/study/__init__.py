"""The study: whether differences identify a user, measured in worlds with ground truth."""
