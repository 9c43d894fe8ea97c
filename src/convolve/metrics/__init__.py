"""Figures that say how good predictions are. NumPy only."""
