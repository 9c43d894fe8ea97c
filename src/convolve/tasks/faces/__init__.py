"""Faces and five points of each, by a cascade of networks; every name is imported from its module."""
