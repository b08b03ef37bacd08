-- picture_labels: the labels that are for a picture or fit its file, newest first, with the status that truth.py gives them.
SELECT * EXCLUDE (media_id) FROM label_matches
WHERE media_id = $media_id OR (media_id IS NULL AND status = 'ambiguous' AND (
    lower(nfc_normalize(file)) IN (lower(nfc_normalize($uri)), lower(nfc_normalize($file)))
    OR ends_with(
        lower(nfc_normalize($uri)), '/' || ltrim(regexp_replace(lower(nfc_normalize(file)), '^[a-z0-9]+://', ''), '/')
    )))
ORDER BY detection_id NULLS FIRST, labelled_at DESC, imported_at DESC, label_id
