"""Two models side by side, on the labelled pictures that both named."""
