"""`python -m benchmarks.improve`."""

from benchmarks.improve.run import main

if __name__ == "__main__":
    main()
