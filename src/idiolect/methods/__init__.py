"""Methods: one file per method, readable beside the figure of its paper, and the stages they share."""
