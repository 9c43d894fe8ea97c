"""Pictures and self-contained pages of what was measured."""
