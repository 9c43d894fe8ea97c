"""Landmarks: where the points of one object are."""
