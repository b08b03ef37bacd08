-- lot_of: a target's number in the draws of a review, 0 to 1, the same wherever its picture lies: `lot` of queues.py gives the same.
CREATE OR REPLACE MACRO lot_of(content_number, target_id) AS
    ('0x' || substr(sha256(drawn_by(content_number, target_id)), 1, 16))::UBIGINT / 18446744073709551616
