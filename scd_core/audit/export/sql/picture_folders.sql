-- picture_folders: folders on this machine's disks that hold pictures of the audit: all that its files have in common, per source.
SELECT DISTINCT rtrim(left(uri, length(uri) - length(file)), '/') [8:] AS folder
FROM newest_media WHERE starts_with(uri, 'file://') AND ends_with(uri, file) ORDER BY folder
