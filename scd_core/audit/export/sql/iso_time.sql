-- iso_time: a local time with its offset from UTC, in ISO 8601; an unknown offset is written as Z.
CREATE OR REPLACE TEMP MACRO iso_time(moment, utc_offset) AS
strftime(moment, '%Y-%m-%dT%H:%M:%S') || CASE WHEN coalesce(utc_offset, 0) = 0 THEN 'Z' ELSE
    printf('%s%02d:%02d', CASE WHEN utc_offset < 0 THEN '-' ELSE '+' END, abs(utc_offset) // 60, abs(utc_offset) % 60) END
