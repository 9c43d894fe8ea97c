"""Captions: a sentence that says what an image shows."""
