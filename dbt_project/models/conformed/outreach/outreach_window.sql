/*
Which half year (184 days) of each kelurahan is compared with the one before: from its first session on; a kelurahan without a
session takes the mean first day of those with one. Assignment is by kecamatan, as the seed outreach_sectors has it, whoever else
holds sessions. No row before each of the sectors has held one: nobody can be compared.
*/
with sessions as (
    select distinct kemendagri_code, held_on, session_number
    from {{ ref('fct_outreach_session') }}
    where kemendagri_code not like '%.0000'
),

sectors as (
    select sector.kecamatan_code, count(sessions.held_on) as session_count
    from {{ ref('outreach_sectors') }} as sector
    inner join {{ ref('dim_region') }} as region on region.parent_kemendagri_code = sector.kecamatan_code
    left join sessions on sessions.kemendagri_code = region.kemendagri_code
    where sector.valid_from <= {{ as_of_date() }}
    group by sector.kecamatan_code
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
        sectors.kecamatan_code is not null as is_treated,
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
)

select
    kelurahan.kemendagri_code,
    kelurahan.kecamatan_code,
    kelurahan.is_treated,
    bordering.kemendagri_code is not null and not kelurahan.is_treated as is_neighbour,
    kelurahan.first_held_on,
    cast({{ dbt.dateadd('day', 183, 'kelurahan.first_held_on') }} as date) as window_ends_on,
    typical.first_held_on as typical_first_held_on
from kelurahan
cross join typical
left join bordering on bordering.kemendagri_code = kelurahan.kemendagri_code
where (select min(session_count) from sectors) > 0
