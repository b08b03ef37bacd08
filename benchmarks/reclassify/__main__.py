"""`python -m benchmarks.reclassify`."""

from benchmarks.reclassify.decide import main

if __name__ == "__main__":
    main()
