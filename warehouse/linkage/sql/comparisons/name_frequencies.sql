-- How many clusters bear each name.
select name_key, count(*) as bearers from cluster_records group by name_key
