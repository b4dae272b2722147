"""Vectors to soft prompts: sparse autoencoder, projectors, splice, adapter."""
