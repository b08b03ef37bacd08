"""`python -m benchmarks.masks`."""

from benchmarks.masks.compare import main

if __name__ == "__main__":
    main()
