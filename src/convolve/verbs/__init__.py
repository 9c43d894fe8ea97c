"""The commands: one module each, with a dataclass of its options and a function that runs it."""
