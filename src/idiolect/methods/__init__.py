"""Methods: one file per method, which follows the figure of its paper, and shared stages."""
