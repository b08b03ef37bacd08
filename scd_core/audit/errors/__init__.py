"""The table `errors`: what people say against what the model said, with causes and suspicions."""
