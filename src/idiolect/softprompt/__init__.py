"""Vectors to soft prompts: sparse autoencoder, projectors, insertion, adapter."""
