"""What re-classification corrects and what it breaks."""
