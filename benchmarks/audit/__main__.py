"""`python -m benchmarks.audit`."""

from benchmarks.audit.cells import main

if __name__ == "__main__":
    main()
