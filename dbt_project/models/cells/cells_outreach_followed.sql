/*
What followed the sessions of a month in a kelurahan: people credited to the latest session before their registration, and people
first seen in the months of a window on a day that nobody sent.
*/
with held as (
    select distinct held_month, kemendagri_code from {{ ref('fct_outreach_session') }} where kemendagri_code not like '%.0000'
),

followed as (
    select
        held_month,
        kemendagri_code,
        sum(case when segment = 'BPU' and days_after_session <= 30 then 1 else 0 end) as new_bpu_30d,
        sum(case when segment = 'BPU' then 1 else 0 end) as new_bpu_90d,
        sum(case when segment = 'PU' then 1 else 0 end) as new_pu_90d,
        sum(case when is_retained then 1 else 0 end) as retained
    from {{ ref('outreach_result') }}
    group by held_month, kemendagri_code
),

undated as (
    select
        held.held_month,
        held.kemendagri_code,
        {%- for segment, days in [('BPU', 30), ('BPU', 90), ('PU', 90)] %}
        sum(case when first.segment = '{{ segment }}' and first.registered_month <= {{ window_end('held.held_month', days) }}
            then 1 else 0 end) as unknown_{{ segment | lower }}_{{ days }}d{{ ',' if not loop.last }}
        {%- endfor %}
    from held
    inner join {{ ref('first_participation') }} as first
        on first.kemendagri_code = held.kemendagri_code
        and first.registered_on is null
        and first.registered_month >= held.held_month
    group by held.held_month, held.kemendagri_code
)

select
    held.held_month as period_start,
    held.kemendagri_code
    {%- for name in ['new_bpu_90d', 'new_bpu_30d', 'retained', 'new_pu_90d'] %},
    cast(coalesce(followed.{{ name }}, 0) as bigint) as {{ name }}
    {%- endfor %}
    {%- for name in ['unknown_bpu_90d', 'unknown_bpu_30d', 'unknown_pu_90d'] %},
    cast(coalesce(undated.{{ name }}, 0) as bigint) as {{ name }}
    {%- endfor %}
from held
left join followed on followed.held_month = held.held_month and followed.kemendagri_code = held.kemendagri_code
left join undated on undated.held_month = held.held_month and undated.kemendagri_code = held.kemendagri_code
