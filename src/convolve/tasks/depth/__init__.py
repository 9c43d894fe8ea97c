"""Depth: how far away each pixel of one image is."""
