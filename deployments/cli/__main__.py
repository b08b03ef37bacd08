"""`python -m deployments.cli`: the command `trapaudit`."""

from deployments.cli.entry import main

if __name__ == "__main__":
    main()
