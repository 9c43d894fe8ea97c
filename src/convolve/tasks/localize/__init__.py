"""Localization: the class of an image, and one box around its object."""
