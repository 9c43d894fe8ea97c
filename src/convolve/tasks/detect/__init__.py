"""Detection: where the objects of an image are, and of which class."""
