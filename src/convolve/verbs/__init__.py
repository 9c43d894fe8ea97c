"""The commands, one module each; `convolve.commands` has them by name."""
