"""The embedded database of items, reviews, vectors and item sums, and its snapshots."""
