-- Clusters with numbers so near each other that one of them may be a slip.
select one.cluster as one, other.cluster as other
from cluster_records as one
inner join cluster_records as other
    on one.birth_key = other.birth_key
    and one.first_letter = other.first_letter
    and one.is_registry
    and not other.is_registry
    and hamming(one.nik, other.nik) <= 2
union
select one.cluster, other.cluster
from cluster_records as one
inner join cluster_records as other
    on one.birth_key = other.birth_key
    and one.last_letter = other.last_letter
    and one.is_registry
    and not other.is_registry
    and hamming(one.nik, other.nik) <= 2
