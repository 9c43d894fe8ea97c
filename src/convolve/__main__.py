"""`python -m convolve`: the command line, also under `torchrun`."""

from convolve.cli import main

main()
