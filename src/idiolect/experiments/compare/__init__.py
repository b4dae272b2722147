"""Evaluations held against one another: folders, seeds and conditions."""
