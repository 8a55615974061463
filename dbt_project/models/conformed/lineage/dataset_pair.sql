/*
Who stands in two agencies' files of a month. People are matched by link, families by card; a link that waits for a person's
decision is left out of the lower bound and may add to the upper one.
*/
with months as (
    select month_start, registry_period from {{ ref('registry_in_effect') }} where is_main
),

links as (
    select record_key, dataset, person_key, family_key, band
    from {{ source('linkage', 'identity_links') }}
    where dataset in ('bps/social_registry_individuals', 'bps/social_registry_families', 'kemensos/assistance')
),

records as (
    -- Each record under the period of its own file: a quarter's records are counted once, not once a month.
    select
        'person' as unit,
        'bps/social_registry_individuals' as dataset,
        individual.period_start as file_period,
        links.person_key as unit_key,
        coalesce(links.band, 'review') <> 'review' as is_certain
    from {{ ref('stg_bps__social_registry_individuals') }} as individual
    left join links
        on links.record_key = individual.record_key and links.dataset = 'bps/social_registry_individuals'
    union all
    select 'family', 'bps/social_registry_families', family.period_start, links.family_key, links.family_key is not null
    from {{ ref('stg_bps__social_registry_families') }} as family
    left join links on links.record_key = family.record_key and links.dataset = 'bps/social_registry_families'
    union all
    select
        'person', 'bpjstk/participants', period_start, case when is_linked then person_key end,
        coalesce(link_band, 'review') <> 'review'
    from {{ ref('fct_participation') }}
    union all
    select 'person', 'kemenkes/eppgbm', measured_month, person_key, coalesce(link_band, 'review') <> 'review'
    from {{ ref('fct_child_measurement') }}
    union all
    select 'family', 'kemensos/assistance', assistance.period_start, links.family_key, links.family_key is not null
    from {{ ref('stg_kemensos__assistance') }} as assistance
    left join links on links.record_key = assistance.record_key and links.dataset = 'kemensos/assistance'
),

units as (
    select
        unit, dataset, file_period, unit_key,
        count(*) as records,
        sum(case when unit_key is null or not is_certain then 1 else 0 end) as uncertain,
        max(case when is_certain then 1 else 0 end) as is_certain
    from records
    group by unit, dataset, file_period, unit_key
),

totals as (
    select
        unit, dataset, file_period,
        sum(records) as records,
        -- At most: whoever nothing names may be one more in the other file.
        sum(case when unit_key is null then records else 1 end) as units,
        sum(uncertain) as uncertain
    from units
    group by unit, dataset, file_period
),

spans as (
    -- Which file speaks for a month: a monthly one its own, the registry the quarter in effect.
    select totals.*, totals.file_period as period_start
    from totals
    where totals.dataset not like 'bps/%'
    union all
    select totals.*, months.month_start
    from totals
    inner join months on months.registry_period = totals.file_period
    where totals.dataset like 'bps/%'
),

pairs as (
    select
        one.unit, one.dataset as left_dataset, other.dataset as right_dataset, one.period_start,
        one.file_period as left_period, other.file_period as right_period,
        one.records as records_left, other.records as records_right,
        one.units as units_left, other.units as units_right,
        one.uncertain + other.uncertain as uncertain
    from spans as one
    inner join spans as other
        on other.unit = one.unit and other.period_start = one.period_start and other.dataset > one.dataset
),

matches as (
    select
        pairs.left_dataset,
        pairs.right_dataset,
        pairs.period_start,
        count(*) as matched,
        sum(one.is_certain * other.is_certain) as matched_low
    from pairs
    inner join units as one on one.dataset = pairs.left_dataset and one.file_period = pairs.left_period
    inner join units as other
        on other.dataset = pairs.right_dataset
        and other.file_period = pairs.right_period
        and other.unit_key = one.unit_key
    group by pairs.left_dataset, pairs.right_dataset, pairs.period_start
)

select
    pairs.left_dataset,
    pairs.right_dataset,
    pairs.period_start,
    {%- for side in ['left', 'right'] %}
    cast(pairs.records_{{ side }} as bigint) as records_{{ side }},
    cast(pairs.units_{{ side }} as bigint) as units_{{ side }},
    {%- endfor %}
    cast(coalesce(matches.matched_low, 0) as bigint) as matched_low,
    cast(coalesce(matches.matched, 0) as bigint) as matched,
    cast(coalesce(matches.matched, 0) + least(
        pairs.units_left - coalesce(matches.matched, 0),
        pairs.units_right - coalesce(matches.matched, 0),
        pairs.uncertain
    ) as bigint) as matched_high
from pairs
left join matches
    on matches.left_dataset = pairs.left_dataset
    and matches.right_dataset = pairs.right_dataset
    and matches.period_start = pairs.period_start
