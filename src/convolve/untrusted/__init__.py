"""The only way to open what somebody else made: regular files of a bounded size, and parsers with bounded costs.

Each function raises one kind of error, `OSError` for a file and `ValueError` for what is in it, whatever the library
below it raises; its caller makes a sentence of that. No other module calls these libraries.
"""
