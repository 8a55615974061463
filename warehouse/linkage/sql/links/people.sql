-- One row per person. The core is the cluster that carries the person's name: the registry's, else one with a number.
select
    person,
    arg_min(cluster, (not is_registry, any_nik is null, cluster)) as core,
    pseudonym('person', coalesce(min(registered_nik), min(any_nik), min(description))) as person_key,
    bit_count(bit_or(agencies)) as agencies
from grouped
group by person
