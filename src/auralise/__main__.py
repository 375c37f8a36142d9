"""``python -m auralise`` is the ``auralise`` command."""

from auralise.cli import main

if __name__ == "__main__":
    main()
