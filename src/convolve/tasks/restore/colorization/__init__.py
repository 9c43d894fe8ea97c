"""Color for gray images."""
