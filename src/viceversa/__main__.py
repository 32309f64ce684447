"""`python -m viceversa` is the `viceversa` command."""

from viceversa.cli import main

if __name__ == "__main__":
    main()
