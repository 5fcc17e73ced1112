"""Calling f: what can be called, in which lane, by how many threads, inside which bounds."""
