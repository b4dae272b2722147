"""How a review differs from its peers."""
