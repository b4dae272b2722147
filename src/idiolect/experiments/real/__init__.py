"""The study of real reviews: the whole comparison on a corpus, by one command (protocol: docs/real.md)."""
