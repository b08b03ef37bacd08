"""The review: which pictures wait for a person, the answers as rows of `labels`, and what they change."""
