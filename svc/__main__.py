"""`python -m svc` is the `svc` command."""

from svc.cli import main

if __name__ == "__main__":
    main()
