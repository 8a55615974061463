-- One row per profile: whose it is, by which method, how sure, and its band. Known to one agency alone by no number, it has
-- nobody to be.
select
    *,
    coalesce(exact_weight(method), probability) as weight,
    case
        when is_for_review then 'review'
        when method in ('card', 'description') and agencies = 1 then 'none'
        else 'link'
    end as band
from (
    select
        members.profile,
        people.person_key,
        coalesce(cards.only_kk_key, by_parents.kk_key) as kk_key,
        case
            when people.core <> members.cluster then 'splink'
            when members.nik_key is not null and members.keeps_nik then 'nik'
            when exact_methods.method is not null then exact_methods.method
            when best_scores.cluster is not null then 'splink'
            when members.card is not null then 'card'
            when descriptions.description is not null then 'description'
        end as method,
        best_scores.probability,
        people.agencies,
        for_review.cluster is not null as is_for_review
    from members
    inner join descriptions using (id)
    inner join persons using (cluster)
    inner join people using (person)
    left join cards using (person)
    left join by_parents using (person)
    left join exact_methods using (id)
    left join best_scores using (cluster)
    left join (
        select a as cluster from review_pairs
        union
        select b from review_pairs
    ) as for_review using (cluster)
) as placed
