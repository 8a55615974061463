-- WHO's weight-for-length and weight-for-height tables with each row's successor, so that interpolation needs one join.
with tables as (
    select 'length' as standard, sex, cast(round(length_cm * 10) as integer) as size_tenths, l, m, s
    from {{ ref('who2006_wfl') }}
    union all
    select 'height', sex, cast(round(height_cm * 10) as integer), l, m, s
    from {{ ref('who2006_wfh') }}
)

select
    standard,
    sex,
    size_tenths,
    l,
    m,
    s,
    coalesce(lead(l) over (partition by standard, sex order by size_tenths), l) as next_l,
    coalesce(lead(m) over (partition by standard, sex order by size_tenths), m) as next_m,
    coalesce(lead(s) over (partition by standard, sex order by size_tenths), s) as next_s
from tables
