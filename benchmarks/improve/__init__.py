"""What `trapaudit improve` makes of real animals in real places: the gap that it closes, and whether its figures come true."""
