"""``python -m auralise`` is the ``auralise`` command."""

import sys

from auralise.cli import main

if __name__ == "__main__":
    sys.exit(main())
