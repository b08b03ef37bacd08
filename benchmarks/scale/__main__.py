"""`python -m benchmarks.scale`."""

from benchmarks.scale.machines import main

if __name__ == "__main__":
    main()
