"""`python train.py` is `svc train`."""

import sys

from svc.cli import main

if __name__ == "__main__":
    main(["train", *sys.argv[1:]])
