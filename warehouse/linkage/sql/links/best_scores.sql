-- The best score among a cluster's links.
select cluster, max(probability) as probability
from (
    select a as cluster, probability from chosen
    union all
    select b, probability from chosen
) as linked
group by cluster
