/*
Families on a month's lists that the quarter in effect does not show in scope, where the list says that they live; nowhere are those
that it does not show at all: they may be families that it shows under another card.
*/
with months as (
    {{ assistance_months() }}
),

received as (
    {{ received_by_family() }}
)

select
    months.month_start as period_start,
    months.ranking,
    received.kemendagri_code,
    cast(count(*) as bigint) as receiving_any
    {%- for programme in assistance_programmes() %},
    cast(sum(received.receives_{{ programme }}) as bigint) as receiving_{{ programme }}
    {%- endfor %},
    cast(sum(case when family.family_key is null then 1 else 0 end) as bigint) as nowhere_any
    {%- for programme in assistance_programmes() %},
    cast(sum(case when family.family_key is null then received.receives_{{ programme }} else 0 end) as bigint)
        as nowhere_{{ programme }}
    {%- endfor %}
from received
inner join months on months.month_start = received.period_start
left join {{ ref('fct_welfare') }} as family
    on family.family_key = received.family_key
    and family.period_start = months.registry_period
    and family.ranking = months.ranking
where family.family_key is null or not family.is_in_scope
group by months.month_start, months.ranking, received.kemendagri_code
