-- Cannot-link constraints between clusters.
select distinct least(one.cluster, other.cluster) as a, greatest(one.cluster, other.cluster) as b
from cannot_link
inner join clusters as one on one.id = cannot_link.a
inner join clusters as other on other.id = cannot_link.b
