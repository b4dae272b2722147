"""Review files to items, reviews and a split."""
