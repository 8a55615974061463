-- Pairs of clusters with the probability that they are one person.
select
    least(cluster_l, cluster_r) as a,
    greatest(cluster_l, cluster_r) as b,
    match_probability as probability
from predictions
