"""Erase a user from everything made from a store, and then from the store."""
