-- count_effect: what the labelled errors do to the count of individuals.
SELECT * FROM count_effect
