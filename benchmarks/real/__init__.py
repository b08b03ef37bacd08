"""Real animals in real places: what an audit flags, explains and corrects where the cause of every error is known."""
