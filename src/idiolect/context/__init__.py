"""A sample to everything it is written from."""
