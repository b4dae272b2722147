"""What was found to differ, counted: UVQ, with or without a judge."""
