/*
Records of a dataset's file that speaks for a month, and whom they are about at most. Measurements of children stand apart: what
posyandu print of them adds up to their number.
*/
with files as (
    select left_dataset as dataset, period_start, records_left as records, units_left as units from {{ ref('dataset_pair') }}
    union
    select right_dataset, period_start, records_right, units_right from {{ ref('dataset_pair') }}
),

told as (
    select files.*, dataset = 'kemenkes/eppgbm' as is_measured from files
)

select
    dataset,
    period_start,
    case when is_measured then period_start end as measured_month,
    case when is_measured then 0 else records end as records_listed,
    case when is_measured then 0 else units end as units_listed,
    case when is_measured then records else 0 end as records_measured,
    case when is_measured then units else 0 end as units_measured
from told
