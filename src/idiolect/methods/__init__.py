"""Conductors: one file a method, reading like its paper's figure."""
