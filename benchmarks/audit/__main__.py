"""`python -m benchmarks.audit`."""

from benchmarks.audit.detection import main

if __name__ == "__main__":
    main()
