"""Layers that papers introduced, each with its source, and what layers say of themselves."""
