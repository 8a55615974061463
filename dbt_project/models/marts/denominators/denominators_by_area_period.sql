/*
How many people each source says there are, side by side and never mixed. Bases that a published count and rate imply exist
for areas that publish both.
*/
with worker_months as (
    -- A month of the feed tells the workers of the registry it stands on: the coverage mart's base is counted once.
    select registry_period, min(month_start) as month_start
    from {{ ref('registry_in_effect') }}
    where is_main and ranking = 'dtsen'
        and month_start in (select period_start from {{ ref('cells_workers') }})
    group by registry_period
),

workers as (
    select
        worker_months.registry_period as period_start,
        cells.kemendagri_code,
        sum(case when cells.worker_segment = 'BPU' then cells.persons else 0 end) as bpu_workers,
        sum(cells.persons) as workers
    from {{ ref('cells_workers') }} as cells
    inner join worker_months on worker_months.month_start = cells.period_start
    where cells.age_band = '15_64' and cells.worker_segment in ('BPU', 'PU')
    group by worker_months.registry_period, cells.kemendagri_code
),

residents as (
    select
        cells.period_start,
        cells.kemendagri_code,
        case when worker_months.month_start is null then cells.bpu_workers else coalesce(workers.bpu_workers, 0) end
            as bpu_workers,
        case when worker_months.month_start is null then cells.bpu_workers + cells.pu_workers
            else coalesce(workers.workers, 0) end as workers,
        cells.others_15_64
    from {{ ref('cells_residents') }} as cells
    left join worker_months on worker_months.registry_period = cells.period_start
    left join workers
        on workers.period_start = cells.period_start and workers.kemendagri_code = cells.kemendagri_code
    where cells.ranking = 'dtsen'
),

per_kelurahan as (
    {%- for population_group, column in [
        ('all', 'population'), ('under_five', 'age_0_4'), ('age_15_64', 'age_15_64'), ('families', 'families'),
    ] %}
    select
        {{ placed_kelurahan('kemendagri_code', 'null') }} as kemendagri_code,
        'half_year' as period_kind,
        period_start,
        'dukcapil' as denominator_source,
        '{{ population_group }}' as population_group,
        {{ column }} as population,
        {{ jakarta_day('received_at') }} as source_release_date
    from {{ ref('stg_dukcapil__population') }}
    union all
    {%- endfor %}
    select
        {{ placed_kelurahan('kemendagri_code', 'null') }}, 'year', period_start, 'target_file', 'under_five', children_target,
        cast(null as date)
    from {{ ref('stg_kemenkes__under_five_targets') }}
    {%- for population_group, counted in [
        ('age_15_64', 'workers + others_15_64'), ('workers', 'workers'), ('pbpu', 'bpu_workers'),
    ] %}
    union all
    select
        kemendagri_code, 'quarter', period_start, 'registry_dtsen', '{{ population_group }}', {{ counted }}, cast(null as date)
    from residents
    {%- endfor %}
    {%- for population_group, cells, counted in [
        ('all', 'cells_persons', 'persons'), ('families', 'cells_families', 'families'),
    ] %}
    union all
    select
        kemendagri_code, 'quarter', period_start, 'registry_dtsen', '{{ population_group }}', sum({{ counted }}),
        cast(null as date)
    from {{ ref(cells) }}
    where ranking = 'dtsen'
    group by kemendagri_code, period_start
    {%- endfor %}
    union all
    select kemendagri_code, period_kind, period_start, 'eppgbm_registered', 'under_five', sum(registered), cast(null as date)
    from {{ ref('cells_children') }}
    where period_kind = 'month' and area_basis = 'residence'
    group by kemendagri_code, period_kind, period_start
),

received as (
    -- Registries publish nothing: the day on which the last file of the period arrived stands for it.
    select
        case dataset
            when 'kemenkes/eppgbm' then 'eppgbm_registered'
            when 'kemenkes/under_five_targets' then 'target_file'
            else 'registry_dtsen'
        end as denominator_source,
        period_kind,
        period_start,
        max({{ jakarta_day('received_at') }}) as received_on
    from {{ source('ledger', 'deliveries_in_force') }}
    where dataset in (
        'kemenkes/eppgbm', 'kemenkes/under_five_targets',
        'bps/social_registry_families', 'bps/social_registry_individuals'
    )
    group by 1, 2, 3
),

counted as (
    select
        spread.area_code as kemendagri_code,
        spread.period_kind,
        spread.period_start,
        spread.denominator_source,
        spread.population_group,
        sum(spread.population) as population,
        false as is_derived,
        cast(null as {{ dbt.type_string() }}) as derivation,
        coalesce(max(spread.source_release_date), max(received.received_on)) as source_release_date
    from ({{ at_each_area_level('per_kelurahan') }}) as spread
    left join received
        on received.denominator_source = spread.denominator_source
        and received.period_kind = spread.period_kind
        and received.period_start = spread.period_start
    group by
        spread.area_code, spread.period_kind, spread.period_start, spread.denominator_source, spread.population_group
    having sum(spread.population) is not null
),

latest_figures as (
    -- Of several titles for one figure, the newest.
    select *
    from {{ ref('fct_published_figure') }}
    where is_latest and (kemendagri_code = '{{ var("city") }}' or kemendagri_code like '{{ var("city") }}.%')
),

published as (
    select
        kemendagri_code,
        period_kind,
        period_start,
        source_system as denominator_source,
        case indicator
            when 'population' then 'all'
            when 'under_five_population' then 'under_five'
            when 'labour_force' then 'workers'
            when 'pbpu_workers' then 'pbpu'
        end as population_group,
        value as population,
        false as is_derived,
        case when indicator = 'labour_force' then 'labour_force (employed and unemployed)' end as derivation,
        source_release_date
    from latest_figures
    where (indicator in ('population', 'under_five_population') and source_system = 'dukcapil')
        or (indicator in ('labour_force', 'pbpu_workers') and source_system = 'sakernas')
),

implied as (
    {%- for source, count_indicator, factor, rate_indicator, source_system in [
        ('bps_implied', 'poor_persons_thousand', 1000, 'p0', 'bps'),
        ('jkn_implied', 'jkn_participants', 1, 'jkn_coverage', 'bpjs_kesehatan'),
    ] %}
    select
        numerator.kemendagri_code,
        numerator.period_kind,
        numerator.period_start,
        '{{ source }}' as denominator_source,
        'all' as population_group,
        {{ factor }} * numerator.value / (rate.value / 100) as population,
        true as is_derived,
        '{{ count_indicator }}{{ ' x 1000' if factor == 1000 }} / ({{ rate_indicator }} / 100)' as derivation,
        case when numerator.source_release_date >= rate.source_release_date then numerator.source_release_date
            else rate.source_release_date end as source_release_date
    from latest_figures as numerator
    inner join latest_figures as rate
        on rate.kemendagri_code = numerator.kemendagri_code
        and rate.period_kind = numerator.period_kind
        and rate.period_start = numerator.period_start
        and rate.source_system = numerator.source_system
        and rate.indicator = '{{ rate_indicator }}'
    where numerator.indicator = '{{ count_indicator }}'
        and numerator.source_system = '{{ source_system }}'
        and rate.value > 0
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

stated as (
    select *, true as is_counted from counted
    union all
    -- What a source counts by kelurahan is not said a second time by a total that was entered by hand.
    select published.*, false
    from published
    left join counted
        on counted.kemendagri_code = published.kemendagri_code
        and counted.period_kind = published.period_kind
        and counted.period_start = published.period_start
        and counted.denominator_source = published.denominator_source
        and counted.population_group = published.population_group
    where counted.kemendagri_code is null
    union all
    select *, false from implied
),

dated as (
    select
        stated.*,
        coalesce(period.period_end, stated.period_start) as period_end
    from stated
    left join {{ ref('dim_period') }} as period
        on period.period_kind = stated.period_kind and period.period_start = stated.period_start
),

paired as (
    -- The registry's count of the same people at the same date or the last before it.
    select
        dated.*,
        civil.population as dukcapil_population,
        row_number() over (
            partition by
                dated.kemendagri_code, dated.period_kind, dated.period_start, dated.denominator_source, dated.population_group
            order by civil.period_end desc, civil.period_start desc
        ) as nearness
    from dated
    left join dated as civil
        on civil.denominator_source = 'dukcapil'
        and civil.kemendagri_code = dated.kemendagri_code
        and civil.population_group = dated.population_group
        and civil.period_end <= dated.period_end
        {%- if is_sample() %}
        -- What is published speaks of the whole city, what is counted of the sample.
        and civil.is_counted = dated.is_counted
        {%- endif %}
)

select
    region.area_level,
    paired.kemendagri_code,
    paired.period_kind,
    paired.period_start,
    paired.denominator_source,
    paired.population_group,
    region.bps_code,
    region.name as area_name,
    cast(round(paired.population) as bigint) as population,
    paired.is_derived,
    paired.derivation,
    cast(round(paired.population - paired.dukcapil_population) as bigint) as gap_to_dukcapil,
    100.0 * (paired.population - paired.dukcapil_population) / nullif(paired.dukcapil_population, 0) as gap_percentage,
    paired.source_release_date,
    false as is_rounded,
    cast(null as {{ dbt.type_string() }}) as release_id
from paired
inner join {{ ref('dim_region') }} as region on region.kemendagri_code = paired.kemendagri_code
where paired.nearness = 1
