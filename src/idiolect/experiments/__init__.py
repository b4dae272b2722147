"""Whole runs: fit, evaluate, controls, results, the demo."""
