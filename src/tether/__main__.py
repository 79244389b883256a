"""`python -m tether`: the command line, for launchers that take a module (torchrun -m tether)."""

import sys

from tether.cli import main

if __name__ == "__main__":
    sys.exit(main())
