/*
Measurements of children by what they say of how they were taken. What a puskesmas prints is the sum of its posyandu: either
alone would tell what the other leaves out.
*/
with measurements as (
    select
        sizes.*,
        lag(length_cm) over sized as previous_length_cm,
        lag(age_days) over sized as previous_sized_age_days,
        min(case when is_haz_valid then haz end) over (
            partition by person_key order by age_days range between 183 preceding and 1 preceding
        ) as lowest_recent_haz,
        row_number() over (partition by person_key, age_days order by received_at, record_key) as entry
    from (
        -- The standards turn from length to height at 731 days, 0.7 cm shorter: a child does not shrink by that.
        select
            fact.*,
            file.period_start as file_month,
            size_cm + case when age_days < {{ who_height_from_days() }} then 0.0 else 0.7 end as length_cm
        from {{ ref('fct_child_measurement') }} as fact
        left join {{ source('ledger', 'deliveries_in_force') }} as file on file.delivery_id = fact.delivery_id
    ) as sizes
    window sized as (partition by person_key, length_cm is not null order by age_days, received_at, record_key)
)

select
    posyandu_key,
    puskesmas,
    measured_month as period_start,
    {%- for name, condition in quality_conditions().items() %}
    cast(sum(case when {{ condition }} then 1 else 0 end) as bigint) as {{ name }},
    {%- endfor %}
    {{ select_quality_statistics() }}
from measurements
group by posyandu_key, puskesmas, measured_month
