"""The study: whether differences identify a user, measured in worlds where the truth is planted."""
