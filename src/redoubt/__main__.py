"""`python -m redoubt` is the same as `redoubt`."""

from redoubt.cli import main

if __name__ == "__main__":
    main()
