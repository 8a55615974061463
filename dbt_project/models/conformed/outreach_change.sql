/*
New BPU members of each kelurahan in the half year (184 days) from its first session on and before it: who signs up at the
session itself counts as after. A kelurahan without a session takes the mean first day of those with one. Assignment is by
kecamatan: the three that held most sessions.
*/
{% set window = 184 %}
with sessions as (
    select distinct kemendagri_code, held_on, session_number
    from {{ ref('fct_outreach_session') }}
    where kemendagri_code not like '%.0000'
),

sectors as (
    select kecamatan_code, row_number() over (order by session_count desc, first_held_on, kecamatan_code) as sector_number
    from (
        select
            region.parent_kemendagri_code as kecamatan_code,
            count(*) as session_count,
            min(sessions.held_on) as first_held_on
        from sessions
        inner join {{ ref('dim_region') }} as region on region.kemendagri_code = sessions.kemendagri_code
        group by region.parent_kemendagri_code
    ) as by_kecamatan
),

first_sessions as (
    select kemendagri_code, min(held_on) as first_held_on from sessions group by kemendagri_code
),

typical as (
    select
        cast({{ dbt.dateadd('day', 'cast(round(avg(' ~ days_between('origin.day', 'first_sessions.first_held_on')
            ~ ')) as integer)', 'min(origin.day)') }} as date) as first_held_on
    from first_sessions
    cross join (select min(first_held_on) as day from first_sessions) as origin
),

kelurahan as (
    select
        region.kemendagri_code,
        region.parent_kemendagri_code as kecamatan_code,
        coalesce(sectors.sector_number <= 3, false) as is_treated,
        coalesce(first_sessions.first_held_on, typical.first_held_on) as first_held_on
    from {{ ref('dim_region') }} as region
    cross join typical
    left join sectors on sectors.kecamatan_code = region.parent_kemendagri_code
    left join first_sessions on first_sessions.kemendagri_code = region.kemendagri_code
    where region.area_level = 'kelurahan' and region.is_in_city and not region.is_unplaced
),

bordering as (
    select distinct border.kemendagri_code
    from {{ ref('region_neighbours') }} as border
    inner join kelurahan as treated on treated.kemendagri_code = border.neighbour_kemendagri_code and treated.is_treated
),

base_month as (
    -- The workforce as it stood when the sessions began, or the nearest month that the feed has.
    select coalesce(
        max(case when period_start <= typical.first_held_on then period_start end), min(period_start)
    ) as period_start
    from (select distinct period_start from {{ ref('worker_counts') }}) as months
    cross join typical
),

pbpu as (
    select kemendagri_code, sum(persons) as pbpu
    from {{ ref('worker_counts') }}
    where is_working and age_band = '15_64' and worker_segment = 'BPU'
        and period_start = (select period_start from base_month)
    group by kemendagri_code
),

registered as (
    select
        kelurahan.kemendagri_code,
        {%- for name, low, high in [
            ('after', 0, window - 1), ('before', -window, -1), ('late_before', -(window // 2), -1),
            ('early_before', -window, -(window // 2) - 1),
        ] %}
        sum(case when {{ days_between('kelurahan.first_held_on', 'first.registered_on') }} between {{ low }} and {{ high }}
            then 1 else 0 end) as new_{{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from kelurahan
    inner join {{ ref('first_participation') }} as first
        on first.kemendagri_code = kelurahan.kemendagri_code and first.segment = 'BPU' and first.registered_on is not null
    group by kelurahan.kemendagri_code
)

select
    kelurahan.kemendagri_code,
    kelurahan.kecamatan_code,
    kelurahan.is_treated,
    bordering.kemendagri_code is not null and not kelurahan.is_treated as is_neighbour,
    kelurahan.first_held_on,
    cast({{ dbt.dateadd('day', window - 1, 'kelurahan.first_held_on') }} as date) as window_ends_on,
    cast(coalesce(pbpu.pbpu, 0) as bigint) as pbpu,
    cast(coalesce(registered.new_after, 0) as bigint) as new_after,
    cast(coalesce(registered.new_before, 0) as bigint) as new_before,
    cast(coalesce(registered.new_late_before, 0) as bigint) as new_late_before,
    cast(coalesce(registered.new_early_before, 0) as bigint) as new_early_before
from kelurahan
left join bordering on bordering.kemendagri_code = kelurahan.kemendagri_code
left join pbpu on pbpu.kemendagri_code = kelurahan.kemendagri_code
left join registered on registered.kemendagri_code = kelurahan.kemendagri_code
-- Without three sectors nobody can be compared.
where exists (select 1 from sectors where sector_number = 3)
{%- if is_sample() %}
    -- Of a sample: where agencies know nobody, nothing can be compared.
    and pbpu.pbpu > 0
{%- endif %}
