"""Embedding: images as vectors that are near to each other where they show the same identity."""
