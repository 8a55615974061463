-- Numbered by content, so that neither the order of files nor of rows is seen in any tie; a table of its own, since a window
-- would carry every column through its sort.
select profile, cast(row_number() over (order by profile) - 1 as integer) as id from cleaned
