/*
What one child's measurements say about one month or half-year. Of several, the latest with a valid height-for-age counts,
else the latest. A child counts as registered in the twelve months after it was last seen, until it is 60 months old.
*/
with periods as (
    select period_kind, period_start, period_end
    from {{ ref('dim_period') }}
    where period_kind in ('month', 'half_year')
        and period_start >= (
            select min(period_start) from {{ source('ledger', 'deliveries_in_force') }} where dataset = 'kemenkes/eppgbm'
        )
        and period_end < (
            select {{ add_months(1, 'max(period_start)') }}
            from {{ source('ledger', 'deliveries_in_force') }} where dataset = 'kemenkes/eppgbm'
        )
),

by_month as (
    -- One row per child and month, so that the twelve-month window below meets few rows.
    select *
    from (
        select
            person_key,
            family_key,
            link_band,
            record_key,
            {{ lineage_columns() }},
            puskesmas,
            kemendagri_code,
            service_kemendagri_code,
            is_living_elsewhere,
            measured_month,
            age_days,
            haz,
            exported_haz,
            is_haz_valid,
            is_waz_valid,
            is_whz_valid,
            is_haz_flagged,
            haz_category,
            waz_category,
            whz_category,
            exported_haz_category,
            row_number() over (
                partition by person_key, measured_month
                order by is_haz_valid desc, age_days desc, received_at desc, record_key desc
            ) as place,
            max(case when weight_kg is not null then 1 else 0 end) over (partition by person_key, measured_month)
                as was_weighed,
            max(case when height_cm is not null then 1 else 0 end) over (partition by person_key, measured_month)
                as was_height_measured
        from {{ ref('fct_child_measurement') }}
    ) as ranked
    where place = 1
),

seen as (
    select
        period.period_kind,
        period.period_start,
        child.*,
        child.measured_month >= period.period_start as is_measured,
        -- The day is not kept past the gate: a child is taken to age by whole months after its last measurement.
        child.age_days + case when child.measured_month >= period.period_start then 0
            else {{ days_between('child.measured_month', month_start('period.period_end')) }} end as age_days_then
    from by_month as child
    inner join periods as period
        on child.measured_month <= period.period_end
        and child.measured_month >= {{ add_months(-11, month_start('period.period_end')) }}
),

chosen as (
    select
        seen.*,
        max(case when is_measured then was_weighed else 0 end) over child_in_period as is_weighed,
        max(case when is_measured then was_height_measured else 0 end) over child_in_period as is_height_measured,
        row_number() over (
            partition by period_kind, period_start, person_key
            order by is_measured desc, case when is_measured and is_haz_valid then 1 else 0 end desc, measured_month desc
        ) as choice
    from seen
    window child_in_period as (partition by period_kind, period_start, person_key)
)

select
    period_kind,
    period_start,
    person_key,
    family_key,
    link_band,
    record_key,
    {{ lineage_columns() }},
    puskesmas,
    kemendagri_code,
    service_kemendagri_code,
    is_living_elsewhere,
    case when age_days_then < {{ who_height_from_days() }} then '0_23' else '24_59' end as age_group,
    is_measured,
    is_weighed = 1 as is_weighed,
    is_height_measured = 1 as is_height_measured,
    is_measured and is_haz_valid as is_haz_valid,
    is_measured and is_waz_valid as is_waz_valid,
    is_measured and is_whz_valid as is_whz_valid,
    is_measured and coalesce(is_haz_flagged, false) as is_haz_flagged,
    case when is_measured and is_haz_valid then haz_category end as haz_category,
    case when is_measured and is_waz_valid then waz_category end as waz_category,
    case when is_measured and is_whz_valid then whz_category end as whz_category,
    case when is_measured then exported_haz_category end as exported_haz_category,
    case when is_measured and is_haz_valid then abs(haz - exported_haz) end as haz_difference
from chosen
where choice = 1
    and age_days_then < {{ who_sixty_months_days() }}
