"""`python -m rp_tutorial` is `rp-tutorial`, for a place where scripts are not on the path."""

from rp_tutorial.cli import main

if __name__ == "__main__":
    main()
