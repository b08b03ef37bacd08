"""The table `errors`: human labels against the model's names, with causes and suspicions."""
