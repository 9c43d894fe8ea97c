"""`python -m convolve` and `convolve`: the command line, also under `torchrun`."""

import sys


def start() -> None:
    """Run one command; Ctrl-C before or after it, too, ends the program without a traceback."""
    try:
        from convolve.cli import main, open_closed_streams

        open_closed_streams()
        main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    start()
