"""How a review differs from its peers: as a vector, in measured style, and as claims in words."""
