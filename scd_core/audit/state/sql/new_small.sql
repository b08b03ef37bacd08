-- new_small: the small files of a table of which nothing is kept.
SELECT file, root FROM small_files ANTI JOIN kept USING (batch_key) WHERE name = $name ORDER BY file
