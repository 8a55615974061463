-- Families on a month's lists that the quarter in effect does not show in scope, where the list says that they live.
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
    {%- endfor %}
from received
inner join months on months.month_start = received.period_start
left join {{ ref('fct_welfare') }} as family
    on family.family_key = received.family_key
    and family.period_start = months.registry_period
    and family.ranking = months.ranking
    and family.is_in_scope
where family.family_key is null
group by months.month_start, months.ranking, received.kemendagri_code
