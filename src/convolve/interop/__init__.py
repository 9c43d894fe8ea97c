"""Weights and networks of other programs: what is read is data, never code."""
