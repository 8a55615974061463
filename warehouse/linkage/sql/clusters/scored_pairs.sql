-- Scored pairs, best first, and whether they may become a link unseen. What no weight outbids: another sex; another name where
-- no number is near or parents are shared (twins); inside one agency, another parent.
select
    scored.a,
    scored.b,
    scored.probability,
    scored.probability >= getvariable('link_from') and not (
        coalesce(one.sex <> other.sex, false)
        or one.name_key <> other.name_key and (
            one.nik is null
            or other.nik is null
            or one.agencies & other.agencies > 0
            or coalesce(one.father in (other.father, other.mother), false)
            or coalesce(one.mother in (other.father, other.mother), false)
        )
        or one.agencies & other.agencies > 0 and (
            coalesce(one.father <> other.father, false) or coalesce(one.mother <> other.mother, false)
        )
    ) as is_firm
from scored
inner join cluster_records as one on one.cluster = scored.a
inner join cluster_records as other on other.cluster = scored.b
order by scored.probability desc, scored.a asc, scored.b asc
