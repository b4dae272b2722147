"""Pretraining small backbones and fitting adapters."""
