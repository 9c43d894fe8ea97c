"""One file per verb: its dataclass, and one function that reads like a recipe."""
