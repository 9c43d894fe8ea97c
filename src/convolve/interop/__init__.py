"""Weights and networks of other programs. What is read is data, never code."""
