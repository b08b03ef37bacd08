-- doubled_files: of some files, those that are the path of several objects, in several sources; their address is needed to mean one.
SELECT file FROM media WHERE file IN (SELECT unnest($files)) GROUP BY file HAVING count(DISTINCT uri) > 1
