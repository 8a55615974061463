-- Active participants and their cards, where the registry places the people and where the branches keep the cards.
{% set programmes = programmes() %}
{%- set participant_segments = ['all'] + jamsostek_segments() %}
with branch_people as (
    -- A column of the cells for each branch, and what is left: branches that no register knows.
    {%- for branch in branches() + [none] %}
    select
        cells.*,
        coalesce({{ dbt.concat(['unit.kemendagri_code', "'.0000'"]) }}, {{ unplaced_code() }}) as kemendagri_code,
        {{ 'at_' ~ branch if branch else 'persons - at_' ~ branches() | join(' - at_') }} as persons_here
    from {{ ref('cells_branch_participants') }} as cells
    left join {{ ref('service_units') }} as unit
        on unit.kind = 'branch' and {{ "unit.part = '" ~ branch ~ "'" if branch else 'false' }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

branch_counts as (
    {%- for segment in participant_segments %}
    {%- for programme, suffix in programmes.items() %}
    select
        period_start, kemendagri_code, '{{ segment }}' as segment, '{{ programme }}' as programme,
        case when {{ holds(segment, suffix) }} then persons_here else 0 end as persons,
        {%- if segment == 'all' %}
        0 as cards,
        {%- else %}
        case when {{ segment | lower }}_any = 1 and {{ segment | lower }}_{{ suffix }} = 1 then persons_here else 0 end as cards,
        {%- endif %}
        persons_here as anybody
    from branch_people
    where segment = '{{ segment }}'
    union all
    {%- endfor %}
    {%- endfor %}
    {%- for programme, suffix in programmes.items() %}
    select period_start, kemendagri_code, segment, '{{ programme }}', 0, cards_{{ suffix }}, cards_any
    from {{ ref('cells_branch_cards') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

at_branches as (
    select period_start, kemendagri_code, segment, programme, sum(persons) as persons, sum(cards) as cards
    from (
        select * from branch_counts
        union all
        -- Cards of all segments together are those of each.
        select period_start, kemendagri_code, 'all', programme, 0, cards, anybody from branch_counts where segment <> 'all'
    ) as every_segment
    group by period_start, kemendagri_code, segment, programme
    -- A known branch has its row, also where nobody is left of a few.
    having sum(anybody) <> 0 or kemendagri_code <> {{ unplaced_code() }}
)

{%- for segment in participant_segments %}
{%- for programme, suffix in programmes.items() %}
select
    period_start, kemendagri_code, 'residence' as area_basis, '{{ segment }}' as segment, '{{ programme }}' as programme,
    sum(case when {{ holds(segment, suffix) }} then persons else 0 end) as persons,
    sum(persons * ({% for name in (jamsostek_segments() if segment == 'all' else [segment]) -%}
        {{ name | lower }}_{{ suffix }}{{ ' + ' if not loop.last }}
    {%- endfor %})) as cards
from {{ ref('cells_participants') }}
where {{ holds(segment, 'any') }}
group by period_start, kemendagri_code
union all
{%- endfor %}
{%- endfor %}
select period_start, kemendagri_code, 'branch', segment, programme, persons, cards
from at_branches
