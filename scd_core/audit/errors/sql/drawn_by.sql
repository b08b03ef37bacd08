-- drawn_by: what each draw among pictures hashes: the picture's content, where it is known, else its target.
CREATE OR REPLACE MACRO drawn_by(content_number, target_id) AS coalesce(content_number::VARCHAR, target_id)
