"""`python -m satsuma`, and `torchrun -m satsuma`: the `satsuma` command."""

from satsuma.cli.main import main

if __name__ == "__main__":
    main()
