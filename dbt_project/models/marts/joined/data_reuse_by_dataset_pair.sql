/*
Who stands in two agencies' files of a month, and how many answers were asked twice. Money is stated only where a sourced unit
cost exists.
*/
with files as (
    select
        dataset,
        period_start,
        records_listed + records_measured as records,
        records_listed + records_measured - units_listed - units_measured as duplicates
    from {{ ref('cells_dataset_records') }}
),

pairs as (
    select
        least(dataset, other_dataset) as left_dataset,
        greatest(dataset, other_dataset) as right_dataset,
        period_start,
        certain_listed + certain_measured as matched_low,
        waiting_listed + waiting_measured as waiting,
        possible_listed + possible_measured as possible
    from {{ ref('cells_data_reuse') }}
),

questions as (
    select one.dataset as left_dataset, other.dataset as right_dataset, count(*) as shared_questions
    from {{ ref('dataset_questions') }} as one
    inner join {{ ref('dataset_questions') }} as other on other.question = one.question and other.dataset > one.dataset
    group by one.dataset, other.dataset
),

costs as (
    -- A cost that names no source is no cost.
    select unit_cost_idr, unit_cost_source, valid_from
    from {{ ref('data_collection_costs') }}
    where trim(unit_cost_source) <> ''
),

priced as (
    select
        pairs.left_dataset,
        pairs.right_dataset,
        pairs.period_start,
        one.records as records_left,
        other.records as records_right,
        one.duplicates as duplicates_left,
        other.duplicates as duplicates_right,
        pairs.matched_low,
        pairs.matched_low + pairs.waiting as matched,
        pairs.matched_low + pairs.waiting + pairs.possible as matched_high,
        coalesce(questions.shared_questions, 0) as shared_questions,
        costs.unit_cost_idr,
        costs.unit_cost_source,
        row_number() over (
            partition by pairs.left_dataset, pairs.right_dataset, pairs.period_start order by costs.valid_from desc
        ) as newest_cost
    from pairs
    inner join files as one on one.dataset = pairs.left_dataset and one.period_start = pairs.period_start
    inner join files as other on other.dataset = pairs.right_dataset and other.period_start = pairs.period_start
    left join questions on questions.left_dataset = pairs.left_dataset and questions.right_dataset = pairs.right_dataset
    left join costs on costs.valid_from <= pairs.period_start
)

select
    left_dataset,
    right_dataset,
    period_start,
    cast(records_left as bigint) as records_left,
    cast(records_right as bigint) as records_right,
    cast(matched as bigint) as matched,
    cast(matched_low as bigint) as matched_low,
    cast(matched_high as bigint) as matched_high,
    cast(duplicates_left as bigint) as duplicates_left,
    cast(duplicates_right as bigint) as duplicates_right,
    cast(shared_questions as bigint) as shared_questions,
    cast(matched * shared_questions as bigint) as answers_reused,
    cast(unit_cost_idr as {{ type_double() }}) as unit_cost_idr,
    unit_cost_source,
    cast(unit_cost_idr * matched_low * shared_questions as {{ type_double() }}) as saved_idr_low,
    cast(unit_cost_idr * matched_high * shared_questions as {{ type_double() }}) as saved_idr_high,
    false as is_rounded,
    cast(null as {{ dbt.type_string() }}) as release_id
from priced
where newest_cost = 1
