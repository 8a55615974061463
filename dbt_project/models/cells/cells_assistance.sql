-- Families in scope by rank and the programmes whose lists name them, month by month against the quarter in effect.
with months as (
    {{ assistance_months() }}
),

received as (
    {{ received_by_family() }}
)

select
    months.month_start as period_start,
    months.registry_period,
    months.ranking,
    family.desil,
    family.kemendagri_code,
    cast(count(*) as bigint) as families,
    cast(count(received.family_key) as bigint) as receiving_any
    {%- for programme in assistance_programmes() %},
    cast(sum(coalesce(received.receives_{{ programme }}, 0)) as bigint) as receiving_{{ programme }}
    {%- endfor %},
    cast(count(case when family.receives_pbi_pemda then 1 end) as bigint) as receiving_pbi_pemda,
    cast(count(case when family.receives_pbi_pemda is null then 1 end) as bigint) as unanswered_pbi_pemda
from months
inner join {{ ref('fct_welfare') }} as family
    on family.period_start = months.registry_period and family.ranking = months.ranking and family.is_in_scope
left join received
    on received.family_key = family.family_key and received.period_start = months.month_start
group by months.month_start, months.registry_period, months.ranking, family.desil, family.kemendagri_code
