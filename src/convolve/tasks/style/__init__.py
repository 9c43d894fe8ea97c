"""Style transfer: a network that gives any photograph the style of one image, in one pass."""
