"""`python inference.py` is `svc convert`."""

import sys

from svc.cli import main

if __name__ == "__main__":
    main(["convert", *sys.argv[1:]])
