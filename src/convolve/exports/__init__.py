"""Exported networks: folders that need nothing of convolve to be used. Nothing here imports torch."""
