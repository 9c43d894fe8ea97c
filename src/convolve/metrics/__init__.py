"""Metrics on NumPy arrays, each usable alone: classification, ranking, calibration, segmentation, detection."""
