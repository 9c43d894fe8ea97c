"""`convolve serve`: trained networks behind HTTP, on this machine."""
