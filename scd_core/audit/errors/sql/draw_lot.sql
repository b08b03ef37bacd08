-- draw_lot: a picture's number in the draw of what to label next, 0 to 1, made of a hash of the seed and of what it is drawn by.
CREATE OR REPLACE MACRO draw_lot(seed, content_number, target_id) AS
    hash(seed || ':' || drawn_by(content_number, target_id)) / 18446744073709551616
